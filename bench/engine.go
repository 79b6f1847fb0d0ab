package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"portico/sleep"
)

// settle is how long after the ramp the measured time waits for sessions that are not signed in yet.
const settle = 30 * time.Second

// engine does one run.
type engine struct {
	options  Options
	recorder *recorder
	unseen   *shard // for what is not measured
	text     body
	sessions []*session

	mail       []*testMail // of the users, if commands of a recording are played
	mailByUser map[int]*testMail
	mailSizes  []int // of its messages

	waiting sync.WaitGroup // sessions that have not tried to sign in yet
	joined  atomic.Int64   // sessions that are signed in
	atEnd   atomic.Int64   // sessions that the server had not ended when they left
	peak    int64          // the observer's own

	started    chan struct{} // closed when operations begin
	startedAt  time.Time
	measuredAt time.Time     // when the measured time begins, after the warm-up; known with startedAt
	planned    time.Time     // when the measured time is to end; known with startedAt
	over       chan struct{} // closed when the measured time is over
	endedAt    time.Time     // no operation of the run is due from then on; not after planned
	cut        atomic.Bool   // running operations are cut
}

// Run does a run and returns its report. If the context ends, the report covers what was measured until then. An error
// means that the run was not possible; failures of servers are in the report.
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
		options: o, recorder: newRecorder(o.Intervals != nil), unseen: &shard{}, text: newBody(),
		started: make(chan struct{}), over: make(chan struct{}),
	}
	if err := e.addSessions(); err != nil {
		return nil, err
	}
	if err := e.prepareMail(ctx); err != nil {
		removing, stop := e.untilCut(ctx)
		defer stop()
		return nil, errors.Join(fmt.Errorf("before the run: %w", err), e.removeMail(removing))
	}
	return e.run(ctx), nil
}

// addSessions creates the sessions, and spreads users, targets and the rate over them.
func (e *engine) addSessions() error {
	o := &e.options
	parts := o.Profile.parts(o.Sessions)
	var pace float64
	for _, part := range parts {
		pace += part.Pace
	}
	for i, part := range parts {
		s, err := e.newSession(i, o.Users[i%len(o.Users)], &o.Targets[i%len(o.Targets)])
		if err != nil {
			return err
		}
		s.shard = &e.recorder.shards[i%shardCount]
		s.random = rand.New(rand.NewPCG(o.Seed, uint64(i)))
		s.script = newScript(part.profile, o.RunID, i)
		if script, ok := s.script.(*recorded); ok {
			e.givePart(s, script)
		}
		if !o.Closed && s.schedule.times == nil {
			s.schedule.interval = max(time.Duration(float64(time.Second)*pace/(o.Rate*part.Pace)), time.Microsecond)
			s.schedule.offset = time.Duration(float64(s.schedule.interval) * float64(i) / float64(o.Sessions))
		}
		e.sessions = append(e.sessions, s)
	}
	return nil
}

// newSession creates a session of a user on a target that is not measured and does nothing yet.
func (e *engine) newSession(number int, user User, target *Target) (*session, error) {
	o := &e.options
	tags, err := newTags(o.Random)
	if err != nil {
		return nil, fmt.Errorf("tags: %w", err)
	}
	s := &session{
		engine: e, number: number, shard: e.unseen, user: user, target: target, tags: tags, script: noop{},
		conns: make(map[*clientConn]struct{}),
	}
	if len(o.Sources) > 0 {
		s.source = o.Sources[number%len(o.Sources)]
	}
	return s, nil
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
	e.warmUp(ctx)
	timers := startPulse()
	first := e.open()
	sleep.For(ctx, time.Until(e.measuredAt.Add(e.options.Duration/2)))
	middle := mark{at: time.Now(), operations: e.recorder.operations()}
	sleep.For(ctx, time.Until(e.planned))
	last := e.close()
	late := timers.end()
	e.finish(&running, stopDialing)
	tidying, stopTidying := e.untilCut(ctx)
	defer stopTidying()
	e.tidyMail(tidying)
	close(stopWatching)
	<-watching
	last.sessions = min(last.sessions, e.atEnd.Load())
	r := e.report(began, first, last, watch, late)
	r.Loop.secondHalf(e, middle, last)
	return r
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

// awaitSessions waits for the end of the ramp, and until every session has signed in or failed to.
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
		sleep.For(ctx, e.options.Ramp-time.Since(begin))
	case <-ctx.Done():
	}
}

// open begins the measured time.
func (e *engine) open() mark {
	e.recorder.enter(phaseMeasuring)
	m := e.mark()
	if !e.hasStarted() {
		e.begin(m.at)
	}
	if m.at.After(e.measuredAt) {
		m.at = e.measuredAt // the warm-up ended then, and we woke a little later
	}
	return m
}

// begin sets the times of the run, from the first operation on, and starts the sessions.
func (e *engine) begin(now time.Time) {
	e.startedAt, e.measuredAt = now, now.Add(e.options.WarmUp)
	e.planned = e.measuredAt.Add(e.options.Duration)
	if e.options.WarmUp > 0 {
		e.recorder.warmUp(e.startedAt, e.measuredAt)
	}
	close(e.started)
	e.wake()
}

// wake has sessions that wait look whether operations begin or end.
func (e *engine) wake() {
	for _, s := range e.sessions {
		s.wake()
	}
}

// close ends the measured time. Operations that are running or due may still end well.
func (e *engine) close() mark {
	memory := e.options.Account.memory() // it takes a while, and sessions leave at the end
	e.recorder.enter(phaseAfter)
	m := e.mark()
	m.memory = memory
	e.endedAt = e.planned
	if m.at.Before(e.planned) {
		e.endedAt = m.at
	}
	close(e.over)
	e.wake()
	return m
}

func (e *engine) mark() mark {
	return mark{at: time.Now(), operations: e.recorder.operations(), spent: e.options.Account.read(),
		tool: readToolMark(e.options.proc), sessions: e.joined.Load()}
}

// untilCut returns a context for what goes on when a run is ended early, but not when it is cut.
func (e *engine) untilCut(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-e.options.Cut:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// finish waits up to the grace for running operations, and then closes their connections. Sessions that clean up have
// the grace once more. If the run is cut, there is no grace.
func (e *engine) finish(running *sync.WaitGroup, stopDialing func()) {
	cutOff := func(which func(*session) bool) {
		for _, s := range e.sessions {
			if which(s) {
				s.cutOff()
			}
		}
	}
	cut := func(which func(*session) bool) {
		e.cut.Store(true)
		stopDialing()
		cutOff(which)
	}
	all := func(*session) bool { return true }
	first := time.AfterFunc(e.options.Grace, func() {
		cut(func(s *session) bool { return !s.leaving.Load() })
	})
	defer first.Stop()
	last := time.AfterFunc(2*e.options.Grace, func() { cut(all) })
	defer last.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		running.Wait()
	}()
	select {
	case <-e.options.Cut:
		cut(all)
		<-done
	case <-done:
	}
}

// mayBegin reports whether a due operation may begin: before the end, or in the first half of the grace if it was due
// before the end.
func (e *engine) mayBegin(due, now time.Time) bool {
	return !e.isOver() || due.Before(e.endedAt) && now.Sub(e.endedAt) < e.options.Grace/2
}

// window returns the time until which operations count as due, and the time since which they must have been due to be
// begun: no operation may take longer than the grace and end after the measured time.
func (e *engine) window(now time.Time) (since, until time.Time) {
	if !e.isOver() {
		return time.Time{}, now
	}
	since, until = now.Add(-e.options.Grace), e.endedAt.Add(-1)
	if since.After(until) {
		since = until
	}
	return since, until
}

// inTime returns an error for an operation that took longer than the grace and ended after the measured time.
// Otherwise it returns err.
func (e *engine) inTime(err error, r row, took time.Duration) error {
	if err == nil && e.isOver() && took > e.options.Grace {
		return unfinished(r, took)
	}
	return err
}

func (e *engine) hasStarted() bool { return isClosed(e.started) }

func (e *engine) isOver() bool { return isClosed(e.over) }

func (e *engine) isCut() bool { return e.cut.Load() }

// mark holds the counters at one moment.
type mark struct {
	at         time.Time
	operations uint64 // that have ended, well or not
	spent      cpuTime
	tool       toolMark
	memory     int64
	sessions   int64
}
