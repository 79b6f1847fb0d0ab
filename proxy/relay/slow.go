package relay

import (
	"time"

	"portico/proxy/wire"
)

// Each loop keeps the slowest commands of each server, verb and hour of the last day, so that operators can see
// what was slow at night, without switching anything on. Most commands cost one comparison with slowFloor.
const (
	// slowFloor is the server time from which on a command may be among them, in nanoseconds.
	slowFloor = int64(100 * time.Millisecond)
	slowKept  = 3 // of an hour, by each loop
	slowHours = 24
)

// SlowCommand is one of the slowest commands of its server, verb and hour.
type SlowCommand struct {
	Owner  Owner
	Server string
	Verb   wire.Verb
	Result Result        // ResultAborted if the session ended first
	Spent  time.Duration // server time
	Ago    time.Duration // since it ended
}

// slowest has the slowest commands of one server and verb. It belongs to the loop. It keeps the owners of ended
// sessions for a day, or until enough slower commands come.
type slowest struct{ hours [slowHours]slowHour }

// slowHour has the commands of one hour. A later hour replaces it.
type slowHour struct {
	hour int64 // since the relay's clock began
	n    int
	kept [slowKept]slowCommand
}

type slowCommand struct {
	owner   Owner
	endedAt int64 // when it ended
	spent   int64
	result  Result
}

func (s *slowest) note(c slowCommand) {
	hour := c.endedAt / int64(time.Hour)
	h := &s.hours[hour%slowHours]
	if h.hour != hour {
		*h = slowHour{hour: hour}
	}
	if h.n < slowKept {
		h.kept[h.n] = c
		h.n++
		return
	}
	least := &h.kept[0]
	for i := range h.kept {
		if h.kept[i].spent < least.spent {
			least = &h.kept[i]
		}
	}
	if c.spent > least.spent {
		*least = c
	}
}

// noteSlow keeps a command that took long.
func (s *ServerStats) noteSlow(v wire.Verb, c slowCommand) {
	if s.slow == nil {
		s.slow = new([wire.NumVerbs]*slowest)
	}
	if s.slow[v] == nil {
		s.slow[v] = new(slowest)
	}
	s.slow[v].note(c)
}

// appendSlow appends the slow commands of the last day.
func (s *ServerStats) appendSlow(to []SlowCommand, server string, now int64) []SlowCommand {
	if s.slow == nil {
		return to
	}
	for v, commands := range s.slow {
		if commands == nil {
			continue
		}
		for i := range commands.hours {
			h := &commands.hours[i]
			if now/int64(time.Hour)-h.hour >= slowHours {
				continue
			}
			for _, c := range h.kept[:h.n] {
				to = append(to, SlowCommand{
					Owner: c.owner, Server: server, Verb: wire.Verb(v), Result: c.result,
					Spent: time.Duration(c.spent), Ago: time.Duration(now - c.endedAt),
				})
			}
		}
	}
	return to
}
