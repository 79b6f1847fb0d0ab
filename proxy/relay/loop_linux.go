package relay

import (
	"encoding/binary"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"portico/proxy/poll"
)

const (
	// readSize is how much one read takes at most. From a mailbox server that sends much, it is bulkSize.
	readSize = 64 << 10
	bulkSize = 512 << 10
	// headRoom is the room for bytes kept of an earlier read. They stand in front of the new ones, in the buffer that
	// all sessions of a loop share.
	headRoom = readSize + 16<<10
	// maxPending is how many unsent bytes an end may have. One read leads to fewer.
	maxPending = 2 * readSize
)

// The two slots of the table that belong to no session.
const (
	slotWake  = poll.SlotWake
	slotTimer = slotWake + 1
	firstSlot = slotTimer + 1
)

// loop is one event loop. All its fields belong to its goroutine.
type loop struct {
	number  int // of all loops
	opts    Options
	limiter *rateLimiter // shared by all loops
	poller  *poll.Poller
	timer   int // timerfd: tick

	running chan struct{} // closed when thread is known
	thread  int           // that it is locked to

	slots      []slot // by the number in an event
	free       []int32
	ready      []*end  // ends with more to read than one share, or records inside TLS, of which epoll does not tell
	spareReady []*end  // the ready list's other half, empty between rounds
	closing    []*link // sessions that are over but not closed yet
	sessions   int

	buf           []byte // reads of all sessions
	bulkBuf       []byte // the same for reads of more than readSize; nil while nobody sends much
	bulkSinceTick bool   // since the last tick
	work          workspace
	batch         *batch // nil = a system call for each receive and send
	batchError    error  // why there is no batch although Options would have it
	records       []byte // lent to the TLS connection being read; nil while a session keeps it
	spare         []*pending
	lentSinceTick bool // a buffer since the last tick
	pool          commandPool
	stats         *Stats
	sweep         int // the slot where the search for idle sessions continues
	drain         drain
	endRequests   []endRequest // sessions being ended some at each tick
	limited       bool         // the number of commands that users may send is limited
	draws         int          // tokens drawn at a time
	budgets       map[string]*userBudget
	indebted      []*link // whose clients are not read since their users have sent too much
	ticks         uint64  // so far
	started       int64   // when the timer was set
	tickDue       bool    // there was a tick, and housekeeping has to follow
	mailWaits     bool    // the loop was woken to read its mail
	stopped       bool    // leave the loop
}

// slot is a place for an end. Events carry the generation, because an event may come after its slot has been given to
// another end.
type slot struct {
	end        *end
	generation uint32
}

func newLoop(number int, opts Options, a *rateLimiter) (*loop, error) {
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	lp := &loop{number: number, opts: opts, limiter: a, budgets: make(map[string]*userBudget),
		running: make(chan struct{}), poller: poller, stats: NewStats()}
	lp.buf = make([]byte, headRoom+readSize)
	lp.slots = make([]slot, firstSlot)
	if lp.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err == nil {
		err = lp.poller.Control(unix.EPOLL_CTL_ADD, lp.timer, slotTimer, 0, unix.EPOLLIN)
	}
	if err == nil && opts.IO != IOEpoll {
		if lp.batch, lp.batchError = newBatch(); opts.IO == IOUring {
			err = lp.batchError
		}
	}
	if err != nil {
		lp.release()
		return nil, err
	}
	if lp.batch != nil {
		lp.stats.IOUringLoops = 1
	}
	return lp, nil
}

func (lp *loop) release() {
	lp.poller.Release()
	lp.batch.release()
	if lp.timer >= 0 {
		unix.Close(lp.timer)
	}
}

// post makes the loop call f soon. If the loop has stopped, it returns false and does not call f.
func (lp *loop) post(f func()) bool { return lp.poller.Post(f) }

// run is the loop's goroutine.
func (lp *loop) run() {
	runtime.LockOSThread()
	lp.thread = unix.Gettid()
	close(lp.running)
	defer lp.release()
	interval := unix.NsecToTimespec(int64(tick))
	lp.started = lp.opts.Now()
	if err := unix.TimerfdSettime(lp.timer, 0, &unix.ItimerSpec{Interval: interval, Value: interval},
		nil); err != nil {
		panic(err) // the arguments are constants
	}
	for rounds := 0; !lp.stopped; rounds++ {
		longest := -1
		if len(lp.ready) > 0 {
			longest = 0
		}
		events := lp.poller.Wait(longest)
		lp.serveEvents(events)
		lp.serveReady()
		if lp.tickDue { // behind the events: what has come before a deadline was looked at counts
			lp.tickDue = false
			lp.housekeep(lp.opts.Now())
		}
		if len(events) == 0 || lp.mailWaits || rounds%mailRounds == 0 {
			lp.mailWaits = false
			lp.poller.ReadMail()
		}
	}
}

// mailRounds is after how many rounds a busy loop reads its mailbox. A loop with little to do reads it each
// millisecond. A loop that sleeps is woken. So most new sessions cost no system call.
const mailRounds = 16

func (lp *loop) dispatch(ev *unix.EpollEvent) {
	switch at := poll.Slot(ev); at {
	case slotWake:
		lp.poller.Woken()
		lp.mailWaits = true
	case slotTimer:
		lp.countTick()
	default:
		switch e := lp.endOf(ev); {
		case e == nil:
		case e.bulk && ev.Events == unix.EPOLLIN: // behind those that have little to say
			e.reads.advance(eventBytes)
			lp.enqueue(e)
		default:
			e.link.serve(e, ev.Events)
		}
	}
}

// endOf returns the end that an event is about, or nil if its session has ended.
func (lp *loop) endOf(ev *unix.EpollEvent) *end {
	if s := lp.slots[poll.Slot(ev)]; s.end != nil && s.generation == poll.Generation(ev) {
		return s.end
	}
	return nil
}

// serveReady serves the ends on the ready list, in order. Ends with more bytes go to the end of the list. After
// bulkSize bytes the loop handles events first, so that short commands do not wait for several large messages.
func (lp *loop) serveReady() {
	round := lp.ready
	lp.ready = lp.spareReady[:0]
	next := 0
	for carried := uint64(0); next < len(round) && carried < bulkSize; next++ {
		e := round[next]
		e.listed = false
		if e.fd >= 0 {
			before := e.link.clientBytes + e.link.serverBytes
			e.link.serve(e, unix.EPOLLIN)
			carried += e.link.clientBytes + e.link.serverBytes - before
		}
	}
	lp.ready = slices.Insert(lp.ready, 0, round[next:]...)
	clear(round)
	lp.spareReady = round[:0]
}

// enqueue puts an end on the ready list.
func (lp *loop) enqueue(e *end) {
	if !e.listed {
		e.listed = true
		lp.ready = append(lp.ready, e)
	}
}

// countTick makes housekeeping due. It also measures how late the tick comes: sessions' events are as late.
func (lp *loop) countTick() {
	var count [8]byte
	if _, errno := rawRead(lp.timer, count[:]); errno != 0 {
		return
	}
	now := lp.opts.Now()
	lp.ticks++
	lp.stats.WakeupDelay.Observe(now - lp.started - int64(lp.ticks)*int64(tick))
	lp.ticks += binary.NativeEndian.Uint64(count[:]) - 1
	lp.tickDue = true
}

// housekeep ends the sessions that are due to end, and frees unused memory.
func (lp *loop) housekeep(now int64) {
	lp.sweepIdle(now)
	lp.drainSome(now)
	lp.endSome(now)
	if len(lp.budgets) > 0 {
		lp.payDebts(now)
	}
	lp.dropIdleBudgets(now)
	lp.trim()
	for i := 0; i < len(lp.closing); {
		if l := lp.closing[i]; l.phase == phaseClosed {
			lp.closing[i] = lp.closing[len(lp.closing)-1]
			lp.closing[len(lp.closing)-1] = nil
			lp.closing = lp.closing[:len(lp.closing)-1]
		} else {
			l.protect(func() { l.advanceEnd(now) })
			i++
		}
	}
}

// sweepTime is the longest that the sweep takes for all sessions.
const sweepTime = time.Minute

// sweepIdle ends sessions whose client has been silent for too long. It checks every session once in a sixteenth of
// that time. At its first check, a session gets its keep-alives: a session that ends sooner does not need them.
func (lp *loop) sweepIdle(now int64) {
	timeout := int64(lp.opts.IdleTimeout)
	rounds := max(min(timeout/16, int64(sweepTime))/int64(tick), 1)
	for range (int64(len(lp.slots)) + rounds - 1) / rounds {
		lp.sweep++
		if lp.sweep >= len(lp.slots) {
			lp.sweep = firstSlot
		}
		if lp.sweep >= len(lp.slots) {
			return
		}
		e := lp.slots[lp.sweep].end
		if e == nil || !e.isClient() || e.link.phase != phaseCarrying {
			continue
		}
		if l := e.link; !l.swept {
			l.swept = true
			setKeepAlive(int(l.client.fd), lp.opts.KeepAlive, lp.opts.StallTimeout)
			setKeepAlive(int(l.upstream.fd), lp.opts.KeepAlive, lp.opts.UserTimeout)
		}
		if e.link.clientSentAt+timeout <= now {
			e.link.protect(func() { e.link.finish(ReasonIdle, now) })
		}
	}
}

// addSlot gives an end a slot.
func (lp *loop) addSlot(e *end) {
	if n := len(lp.free); n > 0 {
		e.slot = lp.free[n-1]
		lp.free = lp.free[:n-1]
	} else {
		e.slot = int32(len(lp.slots))
		lp.slots = append(lp.slots, slot{})
	}
	s := &lp.slots[e.slot]
	s.end = e
	s.generation++
}

// freeSlot frees an end's slot.
func (lp *loop) freeSlot(e *end) {
	lp.slots[e.slot].end = nil
	lp.free = append(lp.free, e.slot)
}

// adopt takes over a new session.
func (lp *loop) adopt(l *link, s Session) {
	if lp.stopped {
		l.abandon(ReasonClosed)
		return
	}
	lp.sessions++
	l.tracker.stats = lp.stats.countersOf(s)
	l.tracker.stats.pool = &lp.pool
	l.tracker.stats.addSessions(1)
	l.clientSentAt = lp.opts.Now()
	lp.addSlot(&l.client)
	lp.addSlot(&l.upstream)
	l.protect(func() {
		lp.watch(l)
		l.start(s.Client.Rest, s.Upstream.Rest)
	})
}

// forget removes a session that has ended, and counts it.
func (lp *loop) forget(l *link) {
	lp.freeSlot(&l.client)
	lp.freeSlot(&l.upstream)
	lp.sessions--
	lp.stats.Ended[l.reason]++
	l.tracker.stats.addSessions(-1)
}
