package move

import (
	"context"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
	"portico/sleep"
)

// What the simulation says also holds with a real etcd, whose members stop, hang and come back. Times are a tenth
// of those in the simulation.
func TestNeverAtTwoPlacesInEtcd(t *testing.T) {
	daemons := testkit.Etcd(t, 3)
	var endpoints []string
	for _, d := range daemons {
		endpoints = append(endpoints, "http://"+d.Address)
	}
	open := func(ctx context.Context) store.Store {
		for ctx.Err() == nil {
			s, err := etcdstore.Open(ctx, etcdstore.Options{Endpoints: endpoints, Prefix: "/portico",
				Timeout: time.Second})
			if err == nil {
				return s
			}
			sleep.For(ctx, 100*time.Millisecond)
		}
		return nil
	}
	s := newSite(uint64(time.Now().UnixNano()), 5)
	s.random.faster = 10
	s.shared = open(t.Context())
	s.open = func(p *process) store.Store { return open(p.ctx) }
	s.cut = func(_ *process, wait func()) {
		d := daemons[s.random.below(len(daemons))]
		if s.random.below(2) == 0 {
			if err := d.Freeze(); err != nil {
				t.Error(err)
			}
			wait()
			if err := d.Thaw(); err != nil {
				t.Error(err)
			}
			return
		}
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		wait()
		if err := d.Start(context.Background()); err != nil {
			t.Error(err)
		}
	}
	for i, p := range s.nodes {
		p.start(i < 3, 0)
	}
	s.faults(*inEtcd)
	s.settles(t)
	for range 20 { // of which one succeeds, if none did before
		s.mu.Lock()
		moved := s.counts.moved
		s.mu.Unlock()
		if moved > 0 {
			break
		}
		s.nodes[0].move("db1", places[s.random.below(3)])
	}
	if s.end(); s.counts.wrong > 0 || s.counts.moved == 0 {
		t.Errorf("%+v", s.counts)
	}
	t.Logf("%+v", s.counts)
}
