package move

import (
	"context"
	"fmt"
	"sync"
	"time"

	"portico/cluster"
	"portico/configs/store"
	"portico/sleep"
)

// process is one life of a node.
type process struct {
	site   *site
	name   string
	hooks  bool // its moves suspend the thing for a while
	ctx    context.Context
	cancel func()
	link   *link
	table  *Table
	dies   int // at which of its writes; before it if negative; 0 for never
	writes int
	ready  chan struct{} // closed when table is there

	mu   sync.Mutex
	does map[string]*doing
}

// doing is what a process does with one thing.
type doing struct {
	by      Record
	held    bool
	kick    chan struct{} // closed when sessions have to end
	insides int
}

var _ Member = (*process)(nil)

// start begins the next life of a node. It moves things by itself if moves is true.
func (p *process) start(moves bool, dies int) *process {
	next := &process{site: p.site, name: p.name, hooks: p.hooks, dies: dies, does: make(map[string]*doing),
		ready: make(chan struct{})}
	next.ctx, next.cancel = context.WithCancel(context.Background())
	p.site.mu.Lock()
	for i, n := range p.site.nodes {
		if n.name == p.name {
			p.site.nodes[i] = next
		}
	}
	p.site.mu.Unlock()
	p.site.group.Go(func() { next.run(moves) })
	return next
}

// wrote counts a write, and may be the end of the process.
func (p *process) wrote(before bool) {
	p.mu.Lock()
	if before {
		p.writes++
	}
	dies := before && p.writes == -p.dies || !before && p.writes == p.dies
	p.mu.Unlock()
	if dies {
		p.site.kill(p)
	}
}

// openLink is the open of a simulated site.
func (p *process) openLink() store.Store {
	if p.link = newLink(p.ctx, p.site.shared, p.site.random, p.wrote); p.link == nil {
		return nil
	}
	if p.site.leases {
		p.link.hidden = p.site.absent
	}
	return p.link
}

// cutLink is the cut of a simulated site.
func cutLink(p *process, wait func()) {
	p.link.cutOff()
	wait()
	p.link.mend()
}

func (p *process) run(moves bool) {
	s := p.site.open(p)
	if s == nil {
		return
	}
	defer s.Close()
	var self *cluster.Member
	for {
		var err error
		if self, err = cluster.Join(p.ctx, s, cluster.Node{Name: p.name}, cluster.Options{}); err == nil {
			break
		}
		if sleep.For(p.ctx, time.Second/p.site.random.faster) != nil {
			return
		}
	}
	table, err := NewTable(p.ctx, s, "active/", Options{State: p.State, Members: NewMembers(s, self),
		Optional: p.site.optional})
	if err != nil {
		return
	}
	clocks := []time.Duration{time.Second, AbandonTime, time.Hour / 6} // apart
	table.abandon = clocks[p.site.random.below(3)] / p.site.random.faster
	p.table = table
	for _, thing := range []string{"db1", "db2"} {
		if p.site.optional {
			table.Refresh(p.ctx)
		} else if _, err := table.Create(p.ctx, thing, "mbx1"); err != nil { // another one was first
			table.Refresh(p.ctx)
		}
		is := table.Record(thing).Value
		d := &doing{by: is.Before(), held: is.Phase == Closing, kick: make(chan struct{})}
		p.does[thing] = d
	}
	close(p.ready)
	var work sync.WaitGroup
	work.Go(func() { self.Run(p.ctx) })
	work.Go(func() { table.Run(p.ctx, p) })
	for thing := range p.does {
		for range 2 {
			work.Go(func() { p.user(thing) })
		}
	}
	for moves && p.ctx.Err() == nil {
		p.site.random.pause(p.ctx, 30*time.Second)
		p.move(fmt.Sprint("db", 1+p.site.random.below(2)), p.site.places()[p.site.random.below(3)])
	}
	work.Wait()
}

// user signs in again and again.
func (p *process) user(thing string) {
	for p.ctx.Err() == nil {
		p.site.random.pause(p.ctx, 500*time.Millisecond)
		p.mu.Lock()
		d := p.does[thing]
		if d.held || d.by.Phase != Open {
			p.mu.Unlock()
			continue
		}
		place, kick := d.by.At, d.kick
		d.insides++
		p.mu.Unlock()
		if p.site.in(p, thing, place) {
			timer := time.NewTimer(time.Duration(p.site.random.below(int(10 * time.Second / p.site.random.faster))))
			select {
			case <-timer.C:
			case <-kick:
				p.site.random.pause(p.ctx, 100*time.Millisecond)
			case <-p.ctx.Done():
			}
			timer.Stop()
			p.site.out(p, thing, place)
		}
		p.mu.Lock()
		d.insides--
		p.mu.Unlock()
	}
}

// State is the State of Options.
func (p *process) State(name string) (r Record, held, has bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.does[name].by, p.does[name].held, true
}

func (p *process) holds(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.does[name].held
}

// Hold implements Member.
func (p *process) Hold(name string, _ Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does[name].held = true
}

// End implements Member.
func (p *process) End(ctx context.Context, name string) error {
	p.mu.Lock()
	close(p.does[name].kick)
	p.does[name].kick = make(chan struct{})
	p.mu.Unlock()
	for {
		p.mu.Lock()
		left := p.does[name].insides
		p.mu.Unlock()
		if left == 0 {
			return nil
		}
		if err := sleep.For(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// Admit implements Member.
func (p *process) Admit(name string, by Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.does[name].by, p.does[name].held = by, false
}

// move moves a thing as an operator's command does.
func (p *process) move(thing, to string) {
	timeout := time.Duration(5+p.site.random.below(100)) * time.Second / p.site.random.faster
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	err := p.tryMove(ctx, thing, to)
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	if err == nil {
		p.site.counts.moved++
	} else {
		p.site.counts.failed++
	}
}

func (p *process) tryMove(ctx context.Context, thing, to string) error {
	m, err := p.table.Begin(ctx, thing)
	if err != nil {
		return err
	}
	defer m.End()
	is, _, _ := p.State(thing)
	defer func() {
		if m.Settle(ctx) {
			p.Admit(thing, m.Record())
		}
	}()
	p.Hold(thing, Record{})
	if err := m.Close(ctx, to); err != nil {
		return err
	}
	if err := p.End(ctx, thing); err != nil {
		return err
	}
	if err := m.Agree(ctx, 0); err != nil {
		return err
	}
	if p.hooks || p.site.random.below(2) == 0 {
		if err := m.Suspend(ctx, []string{is.At, to}); err != nil {
			return err
		}
		p.site.random.pause(ctx, 5*time.Second)
	}
	if err := ctx.Err(); err != nil { // as a hook that fails
		return err
	}
	return m.Open(ctx, to)
}
