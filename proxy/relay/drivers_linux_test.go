package relay

import "testing"

// drivers are all that this system has.
var drivers = []driver{loopDrivers[0], loopDrivers[1], pumps}

// loopDrivers are the two kinds of event loops. The second receives and sends in batches of any size, also of one.
var loopDrivers = []driver{
	{name: "loops", open: func(o Options) (Relay, error) {
		o.IO = IOEpoll
		return NewLoops(o)
	}},
	{name: "batches", mayLack: true, open: func(o Options) (Relay, error) {
		o.IO = IOUring
		ls, err := NewLoops(o)
		if err != nil {
			return nil, err
		}
		for _, lp := range ls.loops {
			set := make(chan struct{})
			lp.post(func() { defer close(set); lp.batch.minEvents = 1 })
			<-set
		}
		return ls, nil
	}},
}

// eachLoop runs a test on both kinds of event loops.
func eachLoop(t *testing.T, test func(t *testing.T, d driver)) {
	t.Helper()
	for _, d := range loopDrivers {
		t.Run(d.name, func(t *testing.T) { test(t, d) })
	}
}
