package protolog

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/proxy/wire"
)

// ErrClosed is returned for what comes after Close.
var ErrClosed = errors.New("the protocol log is closed")

// Settings are what can change at any time.
type Settings struct {
	Enabled          bool // everything is logged, without a rule
	Files            FileSettings
	Format           Format
	HashUsers        bool // users are shown as a keyed hash, the same for a user at all times
	ShortenAddresses bool // of clients' addresses the network is shown: /24, or /48 of IPv6
}

// Options is what a Log is built from, once.
type Options struct {
	Settings   Settings
	Loops      int                   // of the relay: one ring for each
	Key        []byte                // for HashUsers
	Version    string                // of the program, for the files' headers
	Log        zerolog.Logger        // gets an entry when a file cannot be written
	Registerer prometheus.Registerer // for the metrics; nil for none
	Now        func() time.Time      // default time.Now
}

// Log is the protocol log. Its methods are safe for concurrent use; a Ring is its loop's alone.
type Log struct {
	opt    Options
	writer *writer
	counts counts

	demand  atomic.Pointer[demand]
	changed chan struct{} // holds one: Match has to be called again
	changes atomic.Uint64 // of demand
	applied atomic.Uint64 // changes for which Match has been called again
	wake    chan struct{} // holds one: demand may not be empty any more
	done    chan struct{}
	group   sync.WaitGroup

	mu       sync.Mutex // guards what follows, and changes of demand
	settings Settings
	rules    []rule // without the one that Enabled stands for
	closed   bool

	rings  []*Ring // the first one is for all set-ups, the others for one loop each
	setups sync.Mutex

	// What follows belongs to collect's goroutine.
	rows        rowWriter
	at          []uint64 // the next event of each ring
	ends        []uint64 // the number after its last event
	droppedSeen []uint64 // its dropped events that are counted already
	chunk       Rows
}

// New returns a running log. It makes no file before the first row.
func New(opt Options) (*Log, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	l := &Log{
		opt: opt, settings: opt.Settings, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	for range opt.Loops + 1 {
		l.rings = append(l.rings, new(Ring))
	}
	n := len(l.rings)
	l.at, l.ends, l.droppedSeen = make([]uint64, n), make([]uint64, n), make([]uint64, n)
	l.demand.Store(new(demand))
	l.writer = newWriter(opt, &l.counts)
	if opt.Registerer != nil {
		if err := opt.Registerer.Register(collector{l}); err != nil {
			return nil, err
		}
	}
	l.group.Go(l.run)
	l.group.Go(l.writer.run)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enforce()
	return l, nil
}

// closeTime is how long the last rows may take to be written.
const closeTime = 2 * time.Second

// Close writes the remaining rows and ends the log. If the disk does not answer, it gives up after two seconds. The
// goroutine that waits for the disk then stays.
func (l *Log) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	l.mu.Unlock()
	close(l.done)
	ended := make(chan struct{})
	go func() {
		l.writer.release()
		l.group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeTime):
	}
	for _, t := range l.demand.Load().tails {
		t.end()
	}
}

// Configure puts other settings in force.
func (l *Log) Configure(s Settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.settings
	l.settings = s
	l.writer.configure(s.Files)
	if before != s {
		l.enforce()
	}
}

// SetRules replaces all rules. It skips rules that have expired, and those for which CheckRule returns an error.
func (l *Log) SetRules(rules []Rule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules = nil
	for _, r := range rules[:min(len(rules), maxRules)] {
		if f, err := r.Filter.compile(); err == nil {
			l.rules = append(l.rules, rule{r, f})
		}
	}
	l.enforce()
}

// CheckRule returns an error if a filter is invalid.
func CheckRule(f Filter) error {
	_, err := f.compile()
	return err
}

// Rules returns those in force.
func (l *Log) Rules() []Rule {
	var all []Rule
	for _, r := range l.demand.Load().rules {
		all = append(all, r.Rule)
	}
	return all
}

// RuleOfSetting is the ID of the rule that Settings.Enabled stands for.
const RuleOfSetting = "setting"

// enforce puts a demand in force that has the current rules, setting and tails. The caller holds mu.
func (l *Log) enforce() {
	d := &demand{rules: slices.Clone(l.rules), tails: l.demand.Load().tails}
	if l.settings.Enabled {
		d.rules = append(d.rules, rule{Rule: Rule{ID: RuleOfSetting}})
	}
	d, _ = d.without(l.opt.Now())
	l.setDemand(d)
}

// setDemand puts a demand in force, and wakes those who follow it. The caller holds mu.
func (l *Log) setDemand(d *demand) {
	if !d.empty() && l.rings[0].events == nil {
		for _, r := range l.rings {
			r.events = make([]Event, ringSize)
		}
	}
	l.demand.Store(d)
	l.changes.Add(1)
	signal(l.changed)
	signal(l.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Changed receives a value when Match has to be called again for open sessions.
func (l *Log) Changed() <-chan struct{} { return l.changed }

// Changes returns how often the results of Match have changed so far.
func (l *Log) Changes() uint64 { return l.changes.Load() }

// Applied tells the log that Match has been called again for all open sessions, after this number of changes.
func (l *Log) Applied(changes uint64) { l.applied.Store(changes) }

// On says whether any rule or tail is in force.
func (l *Log) On() bool { return !l.demand.Load().empty() }

// Match returns which events of a session are wanted, or nil if none are.
func (l *Log) Match(s Subject) *Match { return l.demand.Load().match(s) }

// Now returns the time of the log's clock.
func (l *Log) Now() time.Time { return l.opt.Now() }

// Session returns the session as rows show it, with the settings in force.
func (l *Log) Session(s Subject) *Session {
	l.mu.Lock()
	set := l.settings
	l.mu.Unlock()
	client := s.Client
	if set.ShortenAddresses {
		client = netip.AddrPortFrom(shorten(client.Addr()), 0)
	}
	user := wire.Visible(s.User)
	if set.HashUsers && user != "" {
		user = l.hashUser(s.User)
	}
	return &Session{id: s.ID, local: s.Local.String(), client: client.String(), user: user,
		mailbox: wire.Visible(s.Server), subject: s}
}

func shorten(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil { // no address
		return a
	}
	return p.Addr()
}

// Ring returns the ring for a loop's events. Only the loop's goroutine may use it, and only for events that a Match
// wants.
func (l *Log) Ring(loop int) *Ring { return l.rings[1+loop] }

// Tail begins to watch. The files do not get the rows that only a tail wants.
func (l *Log) Tail(f Filter, format Format) (*Tail, error) {
	compiled, err := f.compile()
	if err != nil {
		return nil, err
	}
	t := &Tail{filter: compiled, format: format, news: make(chan struct{}, 1)}
	t.leave = func() { l.leave(t) }
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.demand.Load()
	switch {
	case l.closed:
		return nil, ErrClosed
	case len(d.tails) >= maxTails:
		return nil, ErrTooMany
	}
	l.setDemand(&demand{rules: d.rules, tails: append(slices.Clone(d.tails), t)})
	return t, nil
}

func (l *Log) leave(t *Tail) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.demand.Load()
	l.setDemand(&demand{rules: d.rules, tails: slices.DeleteFunc(slices.Clone(d.tails),
		func(o *Tail) bool { return o == t })})
}

// lookPeriod is how often the log empties the rings while a rule or tail is in force. So Put need not wake it.
const lookPeriod = 10 * time.Millisecond

// run takes events from the rings until the log is closed.
func (l *Log) run() {
	defer close(l.writer.in)
	ticker := time.NewTicker(lookPeriod)
	defer ticker.Stop()
	for quiet := 0; ; {
		select {
		case <-l.done:
			l.collect()
			l.flushLast()
			return
		case <-ticker.C:
		case <-l.wake:
			ticker.Reset(lookPeriod)
			quiet = 0
		}
		l.expire()
		if l.collect() > 0 || l.On() {
			quiet = 0
		} else if quiet++; quiet == 100 { // a loop may still not know that nothing is asked for
			ticker.Stop()
		}
	}
}

// expire removes the rules that have expired.
func (l *Log) expire() {
	now := l.opt.Now()
	if _, some := l.demand.Load().without(now); !some {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules = slices.DeleteFunc(l.rules, func(r rule) bool { return !r.Until.IsZero() && !now.Before(r.Until) })
	l.enforce()
}

// collect takes all events from the rings, and makes their rows for the files and the tails. It returns the number of
// events.
func (l *Log) collect() (n int) {
	d := l.demand.Load()
	lost := uint64(0)
	for i, r := range slices.Backward(l.rings) { // the set-ups' ring last: a set-up's events come before its loop's
		l.ends[i] = r.end()
	}
	for i, r := range l.rings {
		l.at[i] = r.taken.Load()
		dropped := r.dropped.Load()
		lost += dropped - l.droppedSeen[i]
		l.droppedSeen[i] = dropped
	}
	format := l.format()
	for e := l.earliest(); e != nil; e = l.earliest() {
		l.distribute(d, e, format)
		n++
	}
	for i, r := range l.rings {
		r.release(l.ends[i])
	}
	l.noteLost(d, lost)
	l.flush()
	for _, t := range d.tails {
		t.wakeNext()
	}
	return n
}

// earliest takes the earliest event of all rings; nil after the last. Each ring has its events in order.
func (l *Log) earliest() (first *Event) {
	from := 0
	for i, r := range l.rings {
		if l.at[i] == l.ends[i] {
			continue
		}
		if e := r.at(l.at[i]); first == nil || e.Time.Before(first.Time) {
			first, from = e, i
		}
	}
	if first != nil {
		l.at[from]++
	}
	return first
}

// noteLost counts events that found no room, for the files and the tails.
func (l *Log) noteLost(d *demand, n uint64) {
	if n == 0 {
		return
	}
	l.counts.dropped[dropRing].Add(n)
	l.chunk.Lost += n
	for _, t := range d.tails {
		t.lose(n)
	}
}

// chunkSize is how much is given to the writer at once.
const chunkSize = 64 << 10

// distribute gives an event's row to the files and the tails that want it.
func (l *Log) distribute(d *demand, e *Event, format Format) {
	if e.file {
		if len(l.chunk.Text) > 0 && l.chunk.Format != format {
			l.flush()
		}
		l.chunk.Format = format
		l.chunk.Text = l.rows.append(l.chunk.Text, format, e)
		if l.chunk.Number++; len(l.chunk.Text) >= chunkSize {
			l.flush()
		}
	}
	var made [2][]byte
	for _, t := range d.tails {
		if e.given != nil && slices.Contains(e.given.tails, &t.filter) {
			continue
		}
		if !t.filter.fits(e.Session.subject) || !t.filter.wants(e.Command, e.Duration) {
			continue
		}
		if made[t.format] == nil {
			made[t.format] = l.rows.append(nil, t.format, e)
		}
		if !t.offer(made[t.format]) {
			l.counts.dropped[dropTail].Add(1)
		}
	}
}

func (l *Log) format() Format {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settings.Format
}

// flush gives the chunk to the writer, or drops it if the writer's queue is full.
func (l *Log) flush() {
	if l.chunk.Number == 0 && l.chunk.Lost == 0 {
		return
	}
	select {
	case l.writer.in <- l.chunk:
		l.chunk = Rows{Text: l.writer.buffer()}
	default:
		l.counts.dropped[dropQueue].Add(uint64(l.chunk.Number))
		l.chunk = Rows{Text: l.chunk.Text[:0], Lost: l.chunk.Lost + uint64(l.chunk.Number)}
	}
}

// flushLast reports rows that the last flush has dropped. It waits for the disk, as long as Close does.
func (l *Log) flushLast() {
	if l.chunk.Lost == 0 {
		return
	}
	select {
	case l.writer.in <- l.chunk:
	case <-time.After(closeTime):
	}
}

// Status is what operators see of the log.
type Status struct {
	Rules    []Rule `json:"rules"`
	Watchers int    `json:"watchers"` // tails
	Pending  bool   `json:"pending"`  // the latest rules do not apply to all sessions yet
	Rows     uint64 `json:"rows"`     // written to files
	Dropped  uint64 `json:"dropped"`  // not written, or not shown
	File     string `json:"file,omitempty"`
	// Failing says why nothing is written at present, and since when.
	Failing string    `json:"failing,omitempty"`
	Since   time.Time `json:"failing_since,omitzero"`
}

// Status returns the log's current state.
func (l *Log) Status() Status {
	d := l.demand.Load()
	s := Status{Rules: l.Rules(), Watchers: len(d.tails), Pending: l.applied.Load() != l.changes.Load(),
		Rows: l.counts.rows.Load()}
	for i := range l.counts.dropped {
		s.Dropped += l.counts.dropped[i].Load()
	}
	l.writer.status(&s)
	slices.SortFunc(s.Rules, func(a, b Rule) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	return s
}

// Find searches the files for rows; see find. It finds a user by the canonical name, also in rows that have the hash.
func (l *Log) Find(ctx context.Context, q Search, f Format, yield func(row []byte) error) error {
	s, err := q.compile(l.hashUser)
	if err != nil {
		return err
	}
	return find(ctx, l.writer.location(), s, f, yield)
}

// hashUser returns the keyed hash that rows show in place of a user's name.
func (l *Log) hashUser(user string) string {
	mac := hmac.New(sha256.New, l.opt.Key)
	mac.Write([]byte(user))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
