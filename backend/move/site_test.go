package move

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"portico/configs/store"
)

const nodesKey = "nodes/" // of package cluster

var places = []string{"mbx1", "mbx2", "mbx3"}

// optionalPlaces are those of things that need not have a record.
var optionalPlaces = []string{"", "mbx2", "mbx3"}

// site is some processes with one store. Each admission is told to it at once.
type site struct {
	shared store.Store
	random *random
	open   func(*process) store.Store // the store as a process sees it; nil if the process is dead
	cut    func(p *process, wait func())
	leases bool // members whose lease is over are not waited for
	nodes  []*process
	group  sync.WaitGroup

	optional bool // things need not have a record

	mu     sync.Mutex
	inside map[string]map[string]map[*process]int // by thing, place and process
	counts struct{ admitted, wrong, moved, failed, killed int }
}

func newSite(seed uint64, nodes int) *site {
	s := &site{shared: store.Memory(), random: &random{faster: 1, src: rand.New(rand.NewPCG(seed, 1))},
		open: (*process).openLink, cut: cutLink,
		inside: make(map[string]map[string]map[*process]int)}
	for i := range nodes {
		s.nodes = append(s.nodes, &process{site: s, name: fmt.Sprint("mx", i)})
	}
	return s
}

// places lists where a thing may be.
func (s *site) places() []string {
	if s.optional {
		return optionalPlaces
	}
	return places
}

// in notes that a process has let somebody in. It returns false if the process is dead.
func (s *site) in(p *process, thing, place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	if s.inside[thing] == nil {
		s.inside[thing] = make(map[string]map[*process]int)
	}
	for other, by := range s.inside[thing] {
		if other != place && len(by) > 0 {
			s.counts.wrong++
		}
	}
	if s.inside[thing][place] == nil {
		s.inside[thing][place] = make(map[*process]int)
	}
	s.inside[thing][place][p]++
	s.counts.admitted++
	return true
}

func (s *site) out(p *process, thing, place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if by := s.inside[thing][place]; by[p] > 1 {
		by[p]--
	} else {
		delete(by, p)
	}
}

// absent says whether an entry is the registration of a member whose lease is over.
func (s *site) absent(e store.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.nodes {
		if e.Key == nodesKey+p.name {
			return p.ctx.Err() != nil || closed(p.ready) && !p.link.leased()
		}
	}
	return false
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// kill ends a process between any two of its instructions.
func (s *site) kill(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ctx == nil || p.ctx.Err() != nil {
		return
	}
	p.cancel()
	s.counts.killed++
	for _, of := range s.inside {
		for _, by := range of {
			delete(by, p)
		}
	}
}

// end kills all that still live.
func (s *site) end() {
	for _, p := range s.nodes {
		s.kill(p)
	}
	s.group.Wait()
	s.shared.Close()
}

// settles reports whether all processes let people in at the same places, within a time. Suspended things are moved.
func (s *site) settles(t *testing.T) {
	t.Helper()
	for range 400 {
		time.Sleep(5 * time.Second / s.random.faster)
		same := true
		for _, p := range s.nodes {
			<-p.ready
			for _, thing := range []string{"db1", "db2"} {
				is, _, _ := p.State(thing)
				stored, err := s.shared.Get(context.Background(), "active/"+thing)
				if s.optional && errors.Is(err, store.ErrNotFound) {
					err = nil
				}
				same = same && err == nil && Text(is) == string(stored.Value) && is.Phase == Open && !p.holds(thing)
				if same || p != s.nodes[0] {
					continue
				}
				p.move(thing, "mbx3")
			}
		}
		if same {
			return
		}
	}
	stored, _ := s.shared.List(context.Background(), "")
	for _, e := range stored {
		t.Logf("%s = %s", e.Key, e.Value)
	}
	t.Errorf("things are not open everywhere: %+v", s.counts)
}

// faults kills, cuts off and starts processes at random.
func (s *site) faults(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for ctx.Err() == nil {
		i := s.random.below(len(s.nodes))
		p := s.nodes[i]
		switch s.random.below(3) {
		case 0:
			s.kill(p)
			s.random.pause(ctx, 20*time.Second)
			if s.random.below(4) == 0 { // an operator's word
				if e, err := s.shared.Get(ctx, nodesKey+p.name); err == nil {
					s.shared.Delete(ctx, e.Key, e.Revision)
				}
			}
			p.start(i < 3, 0)
		case 1:
			select {
			case <-p.ctx.Done():
			case <-p.ready:
				s.cut(p, func() { s.random.pause(ctx, 20*time.Second) })
			}
		default:
			s.random.pause(ctx, 30*time.Second)
		}
	}
}
