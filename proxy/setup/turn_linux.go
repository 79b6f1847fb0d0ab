package setup

import (
	"iter"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// threadTurn is one set-up's place on a thread. It belongs to the function it was given to, whose goroutine is a
// coroutine of the thread.
type threadTurn struct {
	thread *thread
	job    func(*threadTurn)
	next   func() (struct{}, bool) // goes on with the coroutine until it waits
	stop   func()
	yield  func(struct{}) bool // inside: waits

	on    *threadConn // waited for; nil otherwise
	want  uint32
	reads int // since it last let others go on
}

// readsInTurn is how often a set-up may read without waiting, before others have their turn: a client that never stops
// sending must not keep the thread.
const readsInTurn = 16

// start gives a set-up its turn, on a coroutine that has none or on a new one. It returns when the set-up waits, or is
// over.
func (th *thread) start(job func(*threadTurn)) {
	var t *threadTurn
	if n := len(th.spare); n > 0 {
		t = th.spare[n-1]
		th.spare = th.spare[:n-1]
	} else {
		t = &threadTurn{thread: th}
		t.next, t.stop = iter.Pull(t.work)
	}
	t.job = job
	th.turns[t] = struct{}{}
	t.resume()
}

// work is the coroutine: one set-up after the other.
func (t *threadTurn) work(yield func(struct{}) bool) {
	t.yield = yield
	for {
		t.job(t)
		t.job = nil
		delete(t.thread.turns, t)
		if len(t.thread.spare) >= keptTurns {
			return
		}
		t.thread.spare = append(t.thread.spare, t)
		if !yield(struct{}{}) {
			return
		}
	}
}

// resume goes on with the set-up until it waits again. It is called on the thread, outside of any turn.
func (t *threadTurn) resume() { t.next() }

// pause lets the thread go on with others. It returns when somebody resumes the turn.
func (t *threadTurn) pause() {
	t.reads = 0
	t.yield(struct{}{})
}

// hasRead lets others have their turn now and then, though there is no need to wait.
func (t *threadTurn) hasRead() {
	if t.reads++; t.reads < readsInTurn {
		return
	}
	t.thread.again = append(t.thread.again, t)
	t.pause()
}

// await returns when c has an event of want, or an error when its time is over. Where both are true, the event counts:
// the thread may have been busy with others while the deadline passed. It does not know of events before the call, so
// the caller tries first.
func (t *threadTurn) await(c *threadConn, want uint32) error {
	if err := c.watch(); err != nil {
		return err
	}
	c.told = 0
	for {
		if err := c.over(want); err != nil {
			if !c.broken(want) && c.happened(want) {
				return nil
			}
			return err
		}
		t.on, t.want = c, want
		t.pause()
		t.on = nil
		switch {
		case c.broken(want):
			return c.over(want)
		case c.told&(want|unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0:
			return nil
		}
	}
}

// Away implements Turn: f has a goroutine of its own.
func (t *threadTurn) Away(f func()) {
	var panicked *Panic
	back := false
	go func() {
		defer func() {
			if v := recover(); v != nil {
				panicked = &Panic{Value: v, Stack: debug.Stack()}
			}
			t.thread.post(func() {
				back = true
				t.resume()
			})
		}()
		f()
	}()
	for !back {
		t.pause()
	}
	if panicked != nil {
		panic(panicked)
	}
}
