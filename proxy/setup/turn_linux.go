package setup

import (
	"iter"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// threadTurn is one set-up on a thread. It belongs to the set-up's function, which runs on a coroutine of the thread.
type threadTurn struct {
	thread *thread
	job    func(*threadTurn)
	next   func() (struct{}, bool) // runs the coroutine until it waits
	stop   func()
	yield  func(struct{}) bool // called in the coroutine: waits

	waitsFor *threadConn // nil while it does not wait
	want     uint32
	reads    int // since others last had their turn
}

// readsInTurn is how often a set-up may read without waiting before others have their turn. A client that never stops
// sending must not hold the thread.
const readsInTurn = 16

// start runs a set-up on a spare coroutine or on a new one. It returns when the set-up waits or has ended.
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

// work is the coroutine. It runs one set-up after the other.
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

// resume runs the set-up until it waits again. The thread calls it, outside of any turn.
func (t *threadTurn) resume() { t.next() }

// pause lets the thread run others. It returns when the turn is resumed.
func (t *threadTurn) pause() {
	t.reads = 0
	t.yield(struct{}{})
}

// countRead lets others have their turn after readsInTurn reads, though this set-up need not wait.
func (t *threadTurn) countRead() {
	if t.reads++; t.reads < readsInTurn {
		return
	}
	t.thread.yielded = append(t.thread.yielded, t)
	t.pause()
}

// await returns when c has an event of want, or an error when the wait is over. If both are true, the event counts: the
// thread may have been busy with others while the deadline passed. await does not see earlier events, so the caller
// tries first.
func (t *threadTurn) await(c *threadConn, want uint32) error {
	if err := c.watch(); err != nil {
		return err
	}
	c.newEvents = 0
	for {
		if err := c.waitError(want); err != nil {
			if !c.mustEndWait(want) && c.pollEvent(want) {
				return nil
			}
			return err
		}
		t.waitsFor, t.want = c, want
		t.pause()
		t.waitsFor = nil
		switch {
		case c.mustEndWait(want):
			return c.waitError(want)
		case c.newEvents&(want|unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0:
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
