//go:build unix

package cluster_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"portico/backend"
	"portico/backend/move"
	"portico/cluster"
	"portico/cluster/counts"
	"portico/cmd/portico/site"
	"portico/configs/store/etcdstore"
	"portico/health"
	"portico/health/catalogue"
	"portico/health/witness"
)

// scaleNode is a node of a scaleSite.
type scaleNode struct {
	site    *scaleSite
	number  int
	name    string
	etcd    *etcdstore.Store
	member  *cluster.Member
	manager *backend.ActiveManager
	end     func()
	running sync.WaitGroup
}

// start starts the node, or fails the test.
func (n *scaleNode) start() {
	if err := n.tryStart(); err != nil {
		n.site.t.Errorf("%s: %v", n.name, err)
	}
}

func (n *scaleNode) tryStart() (err error) {
	ctx, end := context.WithCancel(context.Background())
	n.end = end
	failed := func(err error) { n.site.failures.Store(err.Error(), n.name) }
	o := etcdstore.Options{Endpoints: []string{"http://" + n.site.etcd.Address}, Prefix: "/portico", Failed: failed,
		Timeout: 30 * time.Second}
	if n.number == 0 {
		o.File = filepath.Join(n.site.t.TempDir(), "known")
		o.Passing = site.Passing
	}
	if n.etcd, err = etcdstore.Open(ctx, o); err != nil {
		return err
	}
	self := cluster.Node{Name: n.name, Machine: n.name, Version: "1.0.0",
		Address: "https://" + n.name + ".example.org:8143"}
	n.member, err = cluster.Join(ctx, n.etcd, self, cluster.Options{Leases: patient{n.etcd}, Failed: failed})
	if err != nil {
		return err
	}
	if n.manager, err = backend.NewActiveManager(ctx, n.etcd, move.NewMembers(n.etcd, n.member), failed); err != nil {
		return err
	}
	if _, err = n.manager.Configure(ctx, n.site.databases); err != nil {
		return err
	}
	return n.run(ctx, failed)
}

// patient are leases that last six times as long. All nodes share the processors of one machine, and would renew theirs
// too late.
type patient struct{ cluster.Leases }

func (p patient) Hold(ctx context.Context, key string, revision uint64, value []byte,
	ttl time.Duration) (lost <-chan struct{}, err error) {
	return p.Leases.Hold(ctx, key, revision, value, 6*ttl)
}

// run runs what a Portico runs of its site.
func (n *scaleNode) run(ctx context.Context, failed func(error)) error {
	queues := backend.NewSigninQueues(time.Now)
	all := []func(context.Context){n.member.Run, func(ctx context.Context) {
		n.manager.Run(ctx, backend.FollowOptions{End: func(string) {}, EndUser: func(string) {}, Queues: queues,
			Moved: func(string, string, string, bool) {}, UserMoved: func(string, string) {}, Failed: failed})
	}}
	if !n.site.moves {
		pauses := backend.NewPauses(n.etcd, queues, failed)
		leader := cluster.NewElection(n.etcd, patient{n.etcd}, n.name, failed)
		seen, err := n.share(ctx, failed)
		if err != nil {
			return err
		}
		exchange, err := counts.New(counts.Options{Store: n.etcd, Name: n.name, Present: n.member.Present,
			Kinds: n.kinds(), Random: rand.Reader, Failed: failed})
		if err != nil {
			return err
		}
		all = append(all, pauses.Run, leader.Run, seen.Run, exchange.Run)
	}
	for _, run := range all {
		n.running.Go(func() { run(ctx) })
	}
	return nil
}

// firstProbe is when a node has probed a target that has become its own.
const firstProbe = 5 * time.Second

// share has the node look at mailbox servers and databases, together with the other nodes. All of them work.
func (n *scaleNode) share(ctx context.Context, failed func(error)) (*witness.Witness, error) {
	targets := slices.Clone(n.site.servers)
	for _, d := range n.site.databases {
		targets = append(targets, d.Name)
	}
	var seen *witness.Witness
	since := make(map[string]time.Time) // of the targets that the node looks at
	plan := func() {
		before := since
		since = make(map[string]time.Time)
		for _, target := range targets {
			if !seen.Looks(target) {
				continue
			}
			if since[target] = before[target]; since[target].IsZero() {
				since[target] = time.Now()
			}
		}
	}
	monitors := func() (all []health.MonitorState) {
		for target, at := range since {
			m := health.MonitorState{Monitor: health.Monitor{HealthSet: catalogue.SetProtocol,
				Name: catalogue.ImapSelfTestMonitor, Target: target}}
			if m.Value = health.Healthy; time.Since(at) < firstProbe {
				m.Value = health.UnInitialized
			}
			all = append(all, m)
		}
		slices.SortFunc(all, func(a, b health.MonitorState) int { return cmp.Compare(a.Target, b.Target) })
		return all
	}
	seen, err := witness.Open(ctx, witness.Options{Store: n.etcd, Node: n.name, Present: n.member.Present,
		Monitors: monitors, Report: func(map[string]health.Report) {}, Hurry: func(string, string, string) {},
		Changed: plan, Failed: failed})
	if err == nil {
		plan()
	}
	return seen, err
}

// kinds are what a Portico counts together with others: connections, failed sign-ins, three kinds of guesses, and
// buckets of guesses that were cleared.
func (n *scaleNode) kinds() []counts.Kind {
	add := func([]counts.Change) {}
	guesses := func() counts.Kind { return counts.Kind{Events: true, Own: n.guesses(), Add: add} }
	return []counts.Kind{{Own: func() []counts.Count { return append(n.counts(), n.users()...) }, Add: add},
		{Own: n.counts, Add: add}, guesses(), guesses(), guesses(),
		{Events: true, Own: func() []counts.Count { return nil }, Add: add}}
}

// counts are as many counts as each node is to have, other ones each time.
func (n *scaleNode) counts() (all []counts.Count) {
	for i := range n.site.counts.Load() {
		var random [1]byte
		rand.Read(random[:])
		all = append(all, counts.Count{Key: uint64(i), N: 4 + uint32(random[0])})
	}
	return all
}

// Of the sign-ins of a node, one in wrongSignIns is wrong. The others are those of users who open userConnections each
// and keep them for userTime, and of whom each comes to one node, so all are heavy.
const (
	wrongSignIns    = 20
	userConnections = 5
	userTime        = time.Minute
)

// users are those whose connections are open now.
func (n *scaleNode) users() (all []counts.Count) {
	rate := n.site.signIns.Load() * (wrongSignIns - 1) / wrongSignIns
	now := time.Now().Unix()
	for second := max(n.site.signInsSince.Load(), now-int64(userTime.Seconds())); second < now; second++ {
		for i := range rate / userConnections {
			all = append(all, counts.Count{Key: n.key(second, i), N: userConnections})
		}
	}
	return all
}

// guesses returns a function that returns the wrong sign-ins since its last call.
func (n *scaleNode) guesses() func() []counts.Count {
	last := time.Now()
	return func() (all []counts.Count) {
		now := time.Now()
		for i := range int64(now.Sub(last).Seconds() * float64(n.site.signIns.Load()) / wrongSignIns) {
			all = append(all, counts.Count{Key: n.key(now.Unix(), i), N: 1})
		}
		last = now
		return all
	}
}

// key is that of somebody who has come to this node in a second.
func (n *scaleNode) key(second, i int64) uint64 {
	return uint64(n.number)<<48 | uint64(second)<<16 | uint64(i)
}
