package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// settle is how long after the ramp the measured time waits for sessions that are not signed in yet.
const settle = 30 * time.Second

// engine carries one run out.
type engine struct {
	options  Options
	recorder *recorder
	unseen   *shard // takes what is not measured
	text     body
	sessions []*session

	waiting sync.WaitGroup // sessions that have not tried to sign in yet
	joined  atomic.Int64   // sessions that are signed in
	peak    int64          // the observer's own

	started   chan struct{} // closed when the measured time begins
	startedAt time.Time
	over      chan struct{} // closed when no operation may begin any more
	endedAt   time.Time
	cut       atomic.Bool // connections are being closed
}

// Run carries out a run and reports. The context ends it early; what was measured until then is reported. An error means that it
// could not be done at all: whatever servers do is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := raiseFiles(o); err != nil {
		return nil, err
	}
	if err := o.Account.begin(); err != nil {
		return nil, err
	}
	e := &engine{
		options: o, recorder: newRecorder(), unseen: &newRecorder().shards[0], text: newBody(),
		started: make(chan struct{}), over: make(chan struct{}),
	}
	e.addSessions()
	return e.run(ctx), nil
}

// addSessions makes the sessions and spreads everything over them.
func (e *engine) addSessions() {
	o := &e.options
	parts := o.Profile.parts(o.Sessions)
	var pace float64
	for _, part := range parts {
		pace += part.Pace
	}
	for i, part := range parts {
		s := &session{
			engine: e, number: i, shard: &e.recorder.shards[i%shardCount],
			user: o.Users[i%len(o.Users)], target: &o.Targets[i%len(o.Targets)],
			random: rand.New(rand.NewPCG(o.Seed, uint64(i))), conns: make(map[*conversation]struct{}),
		}
		if len(o.Sources) > 0 {
			s.source = o.Sources[i%len(o.Sources)]
		}
		s.script = newScript(part.profile, o.RunID, i)
		if !o.Closed {
			s.schedule.interval = max(time.Duration(float64(time.Second)*pace/(o.Rate*part.Pace)), time.Microsecond)
			s.schedule.offset = time.Duration(float64(s.schedule.interval) * float64(i) / float64(o.Sessions))
		}
		e.sessions = append(e.sessions, s)
	}
}

// run is a run from its first connection to its report.
func (e *engine) run(ctx context.Context) *Report {
	began := time.Now()
	dialing, stopDialing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDialing()
	var running sync.WaitGroup
	e.waiting.Add(len(e.sessions))
	running.Add(1)
	go func() {
		defer running.Done()
		e.launch(dialing, &running)
	}()

	watch := newObserver(e, began)
	watching := make(chan struct{})
	stopWatching := make(chan struct{})
	go func() {
		defer close(watching)
		watch.run(stopWatching)
	}()

	e.awaitSessions(ctx)
	first := e.open()
	pause(ctx, e.options.Duration)
	last := e.close()
	e.finish(&running, stopDialing)
	close(stopWatching)
	<-watching
	return e.report(began, first, last, watch)
}

// launch starts the sessions, evenly over the ramp.
func (e *engine) launch(ctx context.Context, running *sync.WaitGroup) {
	begin := time.Now()
	for i, s := range e.sessions {
		at := time.Duration(float64(e.options.Ramp) * float64(i) / float64(len(e.sessions)))
		if left := at - time.Since(begin); left > 0 {
			select {
			case <-time.After(left):
			case <-e.over:
			}
		}
		running.Add(1)
		go func() {
			defer running.Done()
			s.run(ctx)
		}()
	}
}

// awaitSessions waits for the end of the ramp, and until every session is signed in or has failed to.
func (e *engine) awaitSessions(ctx context.Context) {
	all := make(chan struct{})
	go func() {
		defer close(all)
		e.waiting.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, e.options.Ramp+settle)
	defer cancel()
	begin := time.Now()
	select {
	case <-all:
		pause(ctx, e.options.Ramp-time.Since(begin))
	case <-ctx.Done():
	}
}

// open begins the measured time.
func (e *engine) open() mark {
	m := mark{totals: e.recorder.measure(true), spent: e.options.Account.read(), own: ownCPU()}
	e.startedAt = time.Now()
	m.at = e.startedAt
	close(e.started)
	return m
}

// close ends the measured time. What is under way still counts: a latency is a latency.
func (e *engine) close() mark {
	e.endedAt = time.Now()
	m := mark{at: e.endedAt, totals: e.recorder.measure(true), spent: e.options.Account.read(), own: ownCPU()}
	m.memory = e.options.Account.memory()
	m.sessions = e.joined.Load()
	close(e.over)
	return m
}

// finish waits for what is under way, for a while, and cuts the rest.
func (e *engine) finish(running *sync.WaitGroup, stopDialing func()) {
	grace := time.AfterFunc(e.options.Grace, func() {
		e.cut.Store(true)
		stopDialing()
		for _, s := range e.sessions {
			s.cutOff()
		}
	})
	defer grace.Stop()
	running.Wait()
}

func (e *engine) hasStarted() bool {
	select {
	case <-e.started:
		return true
	default:
		return false
	}
}

func (e *engine) isOver() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

func (e *engine) isCut() bool { return e.cut.Load() }

// mark is what is known at one moment.
type mark struct {
	at       time.Time
	totals   totals
	spent    cpuTime
	own      time.Duration
	memory   int64
	sessions int64
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
