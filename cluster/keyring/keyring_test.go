package keyring_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cluster/keyring"
	"portico/configs/store"
	"portico/proxy/certs"
)

const every = 8 * time.Hour

// late is a store that shows changes late.
type late struct {
	store.Store
	by time.Duration
}

func (l late) Watch(ctx context.Context, prefix string) (<-chan []store.Change, error) {
	batches, err := l.Store.Watch(ctx, prefix)
	shown := make(chan []store.Change)
	go func() {
		defer close(shown)
		for batch := range batches {
			time.Sleep(l.by)
			select {
			case shown <- batch:
			case <-ctx.Done():
			}
		}
	}()
	return shown, err
}

// node is a node that follows the keys.
type node struct {
	leads  atomic.Bool
	failed atomic.Int32

	mu   sync.Mutex
	used [][][keyring.Size]byte // one after the other
}

func (n *node) keys() [][keyring.Size]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.used[len(n.used)-1]
}

func (n *node) changes() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.used)
}

// start starts a node. use also gets the keys; leads is nil where there is no leader.
func start(t *testing.T, s store.Store, use func([][keyring.Size]byte), leads bool) *node {
	t.Helper()
	n := &node{}
	o := keyring.Options{Store: s, Key: "tickets", Every: every, Random: rand.Reader,
		Failed: func(error) { n.failed.Add(1) },
		Use: func(keys [][keyring.Size]byte) {
			n.mu.Lock()
			n.used = append(n.used, keys)
			n.mu.Unlock()
			use(keys)
		}}
	if leads {
		o.Leads = n.leads.Load
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go keyring.New(o).Run(ctx)
	return n
}

func ignore([][keyring.Size]byte) {}

// tlsServer is a server that shares its ticket keys, and takes one client at a time.
type tlsServer struct {
	config  *tls.Config
	tickets *certs.Tickets
}

func newTLSServer(t *testing.T, config *tls.Config) tlsServer {
	t.Helper()
	tickets, err := certs.NewTickets(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := tickets.Use(config); err != nil {
		t.Fatal(err)
	}
	return tlsServer{config, tickets}
}

// resumes connects a client, and says whether it has resumed its session.
func (s tlsServer) resumes(t *testing.T, client *tls.Config) bool {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		conn := tls.Server(far, s.config)
		_, err := conn.Write([]byte("*"))
		served <- err
	}()
	defer near.Close()
	conn := tls.Client(near, client)
	_, err := conn.Read(make([]byte, 1)) // the ticket comes before that
	if err := errors.Join(err, <-served); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

// Clients resume their TLS sessions at every node, also while the keys change and a node hears of it late.
func TestSessionsResumeElsewhere(t *testing.T) {
	config, client := testkit.TLS(t)
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		shift := time.Until(began) // the certificate is of today
		clock := func() time.Time { return time.Now().Add(shift) }
		s := store.Memory()
		defer s.Close()
		var servers []tlsServer
		var nodes []*node
		for i, of := range []store.Store{s, late{s, 20 * time.Second}} {
			config := config.Clone()
			config.Time = clock
			servers = append(servers, newTLSServer(t, config))
			nodes = append(nodes, start(t, of, servers[i].tickets.Share, true))
		}
		nodes[0].leads.Store(true)
		time.Sleep(every - 30*time.Second)
		client.Time = clock
		times := append(slices.Repeat([]time.Duration{10 * time.Second}, 36), every-6*time.Minute)
		for range 4 { // changes
			for _, d := range times {
				for from, to := range []int{1, 0} {
					client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
					if servers[from].resumes(t, client) {
						t.Fatal("the first time is resumed")
					}
					if !servers[to].resumes(t, client) {
						t.Errorf("a session of node %d is not resumed at node %d, after %v", from, to,
							clock().Sub(began))
					}
				}
				time.Sleep(d)
			}
		}
		if n := nodes[1].changes(); n < 7 {
			t.Errorf("the keys have changed only %d times", n)
		}
	})
}

// A key opens before it seals, seals for as long as it should, and opens for two more periods.
func TestKeysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		leader, other := start(t, s, ignore, true), start(t, s, ignore, true)
		leader.leads.Store(true)
		time.Sleep(time.Second)
		first := leader.keys()
		if len(first) != 1 {
			t.Fatalf("%d keys at first", len(first))
		}
		time.Sleep(every + 20*time.Second)
		opens := other.keys()
		if len(opens) != 2 || opens[0] != first[0] {
			t.Fatalf("%d keys, or the new one seals at once", len(opens))
		}
		time.Sleep(80 * time.Second)
		seals := other.keys()
		if len(seals) != 2 || seals[0] != opens[1] || seals[1] != first[0] {
			t.Fatal("the new key does not seal")
		}
		time.Sleep(2*every + 4*time.Minute)
		if last := other.keys(); len(last) != 3 || slices.Contains(last, first[0]) || last[2] != seals[0] {
			t.Error("three keys are not the last three")
		}
		leader.leads.Store(false)
		n := other.changes()
		time.Sleep(2 * every)
		if other.changes() != n {
			t.Error("the keys change without a leader")
		}
		other.leads.Store(true)
		time.Sleep(20 * time.Second)
		if other.changes() != n+1 || !slices.Equal(leader.keys(), other.keys()) {
			t.Error("the next leader does not go on")
		}
	})
}

// Where there is no leader, the keys change all the same, and once.
func TestWhoeverIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		nodes := []*node{start(t, s, ignore, false), start(t, s, ignore, false), start(t, s, ignore, false)}
		time.Sleep(2*every + every/2)
		for _, node := range nodes {
			if n := node.changes(); n != 5 || node.failed.Load() > 0 || !slices.Equal(node.keys(), nodes[0].keys()) {
				t.Errorf("%d changes, %d failed", n, node.failed.Load())
			}
		}
	})
}

// What cannot be keys is replaced, and not used; a time that is far ahead is not waited for.
func TestKeysThatCannotBe(t *testing.T) {
	for _, text := range []string{"", "{}", `{"keys":[]}`, `{"keys":["AAAA"]}`, "\x00", `{"keys":[1]}`,
		`{"keys":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],"new":true}`} {
		synctest.Test(t, func(t *testing.T) {
			s := store.Memory()
			defer s.Close()
			s.CompareAndSet(t.Context(), "tickets", 0, []byte(text))
			n := start(t, s, ignore, true)
			time.Sleep(time.Second)
			if n.changes() != 1 || len(n.keys()) != 1 || n.keys()[0] == ([keyring.Size]byte{}) {
				t.Errorf("%q: %d keys", text, n.changes())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		s.CompareAndSet(t.Context(), "tickets", 0,
			[]byte(`{"keys":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],"since":"2099-01-01T00:00:00Z"}`))
		n := start(t, s, ignore, false)
		time.Sleep(3 * time.Minute)
		if keys := n.keys(); len(keys) != 2 || keys[1] != ([keyring.Size]byte{}) {
			t.Errorf("%d keys, or the one of then seals", len(keys))
		}
	})
}
