package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Load is what the relay counts of a mailbox server.
type Load struct {
	Server   string
	Finished uint64        // commands so far
	Spent    time.Duration // server time of all of them
	Queued   int64         // commands begun and not ended, an IDLE that waits not counted
	Open     int           // sessions whose oldest command waits for the server
	Age      time.Duration // for how long, all together
}

// ErrNoSample is what a check returns that had nothing to look at: it says neither that all is well nor that it is
// not.
var ErrNoSample = errors.New("no sample")

// loadOf finds a server's; "" is all together.
func loadOf(all []Load, server string) (sum Load) {
	sum.Server = server
	for _, l := range all {
		if server != "" && l.Server != server {
			continue
		}
		sum.Finished += l.Finished
		sum.Spent += l.Spent
		sum.Queued += l.Queued
		sum.Open += l.Open
		sum.Age += l.Age
	}
	return sum
}

// AverageTime checks the average server time of the commands of a server since it looked last, those that still wait
// counted with their age: a server that answers nothing would look healthy else. A server that had no command
// meanwhile, and has none open, is well: nobody waits for it. The first look has no time to look over.
func AverageTime(load func() []Load, server string, most time.Duration) func(context.Context, *Run) error {
	var mu sync.Mutex
	var before Load
	first := true
	return func(_ context.Context, run *Run) error {
		mu.Lock()
		defer mu.Unlock()
		now := loadOf(load(), server)
		commands := float64(now.Finished-before.Finished) + float64(now.Open)
		spent := now.Spent - before.Spent + now.Age
		begun := first
		before, first = now, false
		if begun {
			return ErrNoSample
		}
		average := time.Duration(float64(spent) / max(commands, 1))
		run.Mailbox, run.Value = server, average.Seconds()
		if average > most {
			return &Failure{InformationStore, "average", fmt.Errorf("commands take %v on average; the limit is %v",
				average.Round(time.Millisecond), most)}
		}
		return nil
	}
}

// Queued checks how many commands of a server are begun and not ended.
func Queued(load func() []Load, server string, most int) func(context.Context, *Run) error {
	return func(_ context.Context, run *Run) error {
		queued := loadOf(load(), server).Queued
		run.Mailbox, run.Value = server, float64(queued)
		if queued > int64(most) {
			return &Failure{InformationStore, "queue", fmt.Errorf("%d commands wait for an answer; the limit is %d",
				queued, most)}
		}
		return nil
	}
}
