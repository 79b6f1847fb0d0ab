// Package counts lets the nodes of a site add up what each of them counts, approximately: every few seconds a node
// tells the others its largest counts (the heavy hitters), and adds what they tell. Nobody is asked when something is
// counted, so nothing waits for another node or for the store.
//
// What is missing is bounded: counts that a node does not tell because they are small, and what was counted within
// the last interval. If the store is away, each node soon goes on with its own counts alone.
//
// The package does not know what is counted. A key is a hash that all nodes make with the same seed, see [Seed].
package counts

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"portico/configs/store"
)

// Count is one count of a node.
type Count struct {
	Key uint64
	N   uint32
}

// Change is what a count of the other nodes has changed by. It is never 0.
type Change struct {
	Key uint64
	By  int64
}

// Kind is one kind of counts. Its functions are called by one goroutine each.
type Kind struct {
	// Events says that events are counted, such as guesses, and not what there is now, such as connections. Events are
	// added once. They are not taken back when their node goes.
	Events bool
	// Own returns this node's counts: those that are worth telling, or the events since the last call. It is called
	// at each interval, also if there is no other node.
	Own func() []Count
	// Add takes what the others' counts have changed by.
	Add func([]Change)
}

// MaxCounts is how many counts of one kind a node tells: the largest ones.
const MaxCounts = 500

// Intervals of telling.
const (
	shortest  = 2 * time.Second
	perSecond = 20 // lists of all nodes together
	refreshed = 2  // intervals after which a list is written again though it has not changed
	forgotten = 5  // intervals after which a list that was not written again does not count
	keptQuiet = 4  // intervals for which events are told after the last one
)

// prefix is that of the keys in the store. The name of a node follows.
const prefix = "heavy/"

// Options of an Exchange. All are needed.
type Options struct {
	Store   store.Store
	Name    string          // of this node
	Present func() []string // the nodes that are there, this one among them
	Kinds   []Kind          // the same, in the same order, on all nodes
	Random  io.Reader
	// Failed is called with the reason when this node cannot tell its counts or hear those of others, once until it
	// can again.
	Failed func(error)
}

// Exchange tells this node's counts and adds those of others. It is safe for concurrent use.
type Exchange struct {
	opt   Options
	start uint64 // tells this run of the node from earlier ones, whose events it does not know

	mu    sync.Mutex
	state State
}

// State is how an exchange is doing.
type State struct {
	Told   int // counts of this node that the others have
	Heard  int // counts of others that are added
	Failed int // lists that could not be written, so far
}

// New returns an exchange that does nothing before Run.
func New(o Options) (*Exchange, error) {
	var start [8]byte
	_, err := io.ReadFull(o.Random, start[:])
	return &Exchange{opt: o, start: binary.BigEndian.Uint64(start[:])}, err
}

// State returns how the exchange is doing.
func (e *Exchange) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

func (e *Exchange) note(change func(*State)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.state)
}

// Interval is the time between two lists of one node, in a site with a number of nodes present.
func Interval(nodes int) time.Duration {
	return max(shortest, time.Duration(nodes)*time.Second/perSecond)
}

func (e *Exchange) interval() time.Duration { return Interval(len(e.opt.Present())) }

// Run tells and hears until ctx ends or the store closes. The list of this node stays in the store: the others leave
// it out when this node is not present, or has been silent for some intervals.
func (e *Exchange) Run(ctx context.Context) {
	var hearing sync.WaitGroup
	defer hearing.Wait()
	hearing.Go(func() { e.hear(ctx) })
	own := newTeller(e)
	for {
		own.tell(ctx)
		timer := time.NewTimer(e.interval())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
