package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruption ends a measurement in two steps, by signals or by keys of the live view.
type interruption struct {
	ending  context.Context // ends at the first step: the command then reports what it has measured
	cutting context.Context // ends at the second step: the command no longer waits for operations under way
	end     context.CancelFunc
	cut     context.CancelFunc
}

// untilSignals returns an interruption whose steps are signals. After the second step, a signal ends the program at
// once. SIGPIPE does not: if whoever reads standard output has gone, that is an error, and the files are still written.
func untilSignals(ctx context.Context) (i *interruption, stop func()) {
	i = &interruption{}
	i.ending, i.end = context.WithCancel(ctx)
	i.cutting, i.cut = context.WithCancel(ctx)
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endingSignals()...)
	go func() {
		for i.cutting.Err() == nil {
			select {
			case <-signals:
				i.next()
			case <-i.cutting.Done():
			}
		}
		signal.Stop(signals)
	}()
	return i, func() {
		i.end()
		i.cut()
	}
}

// next takes the next step. Safe for concurrent use.
func (i *interruption) next() {
	if i.ending.Err() == nil {
		i.end()
		return
	}
	i.cut()
}
