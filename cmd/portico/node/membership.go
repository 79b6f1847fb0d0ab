package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"portico/backend/move"
	"portico/backend/secret"
	"portico/cluster"
	"portico/cluster/seal"
	"portico/cmd/portico/release"
	sitestore "portico/cmd/portico/site"
	"portico/configs"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
	"portico/health/admin"
)

// membership is this node as one of a cluster. It is nil for a node without one. It is safe for concurrent use.
type membership struct {
	self     *cluster.Member
	parts    *cluster.Parts
	election *cluster.Election // of the leader
	etcd     *etcdstore.Store
	options  sitestore.Options
	store    store.Store // of the site: etcd, with what is sealed opened
	log      *nodeLog
	trust    *tls.Config // of other nodes' admin.address
	metrics  clusterMetrics

	mu    sync.Mutex
	known map[string]way // by name; made when first needed
}

// joinSite opens the site's store and registers this node in it. It returns nil if the configuration has no cluster.
// taken is told when another machine has taken this node's place in the site.
func joinSite(ctx context.Context, config *configs.Config, local store.Store, log *nodeLog,
	taken func(error)) (*membership, error) {
	if !config.Cluster.Enabled() {
		return nil, sitestore.Alone(ctx, local)
	}
	options, err := sitestore.NewOptions(config)
	if err != nil {
		return nil, err
	}
	m := &membership{options: options, log: log, metrics: newClusterMetrics(), known: make(map[string]way)}
	if m.trust, err = trusting(config.Cluster.CA); err != nil {
		return nil, fmt.Errorf("cluster.ca: %w", err)
	}
	options.Etcd.File = filepath.Join(config.DataDir, sitestore.KnownFile)
	options.Etcd.Passing, options.Etcd.Changed = sitestore.Passing, m.tell
	options.Etcd.Failed = log.reporter("copy of etcd in data_dir")
	options.Etcd.Observe = m.metrics.answered
	m.etcd, err = etcdstore.Open(ctx, options.Etcd)
	if errors.Is(err, store.ErrAway) {
		err = fmt.Errorf("%w; this node cannot start without it, because it does not know the site yet", err)
	}
	if err != nil {
		return nil, fmt.Errorf("cluster.etcd: %w", err)
	}
	if err := m.join(ctx, local, config, taken); err != nil {
		m.etcd.Close()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return m, nil
}

// join registers this node. What the site has stored must be read after that.
func (m *membership) join(ctx context.Context, local store.Store, config *configs.Config, taken func(error)) error {
	s := sitestore.New(m.etcd, m.options, time.Now)
	m.store = s.Store()
	m.election = cluster.NewElection(m.etcd, m.etcd, m.options.Name, m.log.reporter("election of a leader"))
	machine, err := s.Enter(ctx, local)
	if err == nil {
		m.self, err = cluster.Join(ctx, m.etcd, cluster.Node{Name: m.options.Name, Machine: machine,
			Address: m.options.Advertise, Version: release.Version()},
			cluster.Options{Leases: m.etcd, Fenced: config.Cluster.Fence.IsSet(), KeepAs: m.etcd.KeepAs,
				Failed: m.log.reporter("registration of this node"), Taken: taken})
	}
	if err == nil {
		m.parts, err = cluster.NewParts(ctx, m.store, m.options.Name, m.digests(config),
			m.log.reporter("configuration of other nodes"))
	}
	return err
}

// tell logs how the site's store stands to etcd.
func (m *membership) tell(state etcdstore.State) {
	switch {
	case state.Err == nil && state.Full != nil:
		m.log.Error().Err(state.Full).Msg("etcd is full: users are served as before, and nothing can move or change")
	case state.Err == nil:
		m.log.Warn().Msg("etcd answers again: what the site agrees on is followed")
	case errors.Is(state.Err, etcdstore.ErrRestored):
		m.log.Error().Err(state.Err).Msg("etcd is not followed: nothing that the site agrees on changes here")
	default:
		m.log.Error().Err(state.Err).Msg("etcd away: users are served as before, and nothing can move or change")
	}
}

// site is the store of what all nodes share; local is this node's own, which a node without a cluster has for both.
func (m *membership) site(local store.Store) store.Store {
	if m == nil {
		return local
	}
	return m.store
}

// members have to agree when something moves; nil says that only this node lets users in.
func (m *membership) members() *move.Members {
	if m == nil {
		return nil
	}
	return move.NewMembers(m.store, m.self)
}

// follows says why what the site agrees on is not followed or cannot change, or nil.
func (m *membership) follows() error {
	if m == nil {
		return nil
	}
	is := m.etcd.State()
	return cmp.Or(is.Err, is.Full)
}

// keep keeps this node registered and present, and tells the others of its configuration, until ctx ends.
func (m *membership) keep(ctx context.Context) {
	if m == nil {
		return
	}
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { m.parts.Run(ctx) })
	m.self.Run(ctx)
}

// way is the way to another node at an address.
type way struct {
	address string
	handler http.Handler
}

// forRequests is the purpose of tokens by which nodes ask one another.
const forRequests = "requests"

// letIn lets other nodes of the site ask this one.
func (m *membership) letIn(access *admin.Access) {
	if m == nil {
		return
	}
	token := seal.Token(m.options.Secret.Reveal(), forRequests, m.options.Name)
	access.Tokens = append(access.Tokens, admin.Token{Name: "of the cluster", May: admin.MayChange,
		Hash: configs.HashToken(token)})
}

// ways are the ways to the other nodes that are registered and have not ended, by name.
func (m *membership) ways() map[string]http.Handler {
	all := make(map[string]http.Handler)
	if m == nil {
		return all
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, node := range m.self.Nodes() {
		if node.Name == m.options.Name || node.Stopped || node.Address == "" {
			continue
		}
		to := m.known[node.Name]
		if to.address != node.Address {
			token := secret.Value(seal.Token(m.options.Secret.Reveal(), forRequests, node.Name))
			made, err := newWay(m.options.Name, node.Name, node.Address, token, m.trust)
			if err != nil { // another version of Portico has registered it
				continue
			}
			to = way{node.Address, made}
			m.known[node.Name] = to
		}
		all[node.Name] = to.handler
	}
	return all
}

// lend lets another process of this node register in its place, which has failed when takeBack is called.
func (m *membership) lend() (takeBack func()) {
	if m == nil {
		return func() {}
	}
	resume := m.self.Pause()
	m.etcd.Lend()
	return func() {
		m.etcd.TakeBack()
		ctx, cancel := context.WithTimeout(context.Background(), etcdstore.DefaultTimeout)
		defer cancel()
		if err := resume(ctx); err != nil {
			m.log.report("cluster", err)
		}
	}
}

// leave says that nobody is in on this node, and nobody will be let in.
func (m *membership) leave() {
	if m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), etcdstore.DefaultTimeout)
	defer cancel()
	err := m.etcd.State().Err
	if err == nil {
		err = m.self.Leave(ctx)
	}
	if err != nil {
		m.log.Error().Err(err).
			Msg("etcd does not know that this node has stopped: nothing moves until it is back, or is removed with --dead")
	}
}

// close closes the site's store.
func (m *membership) close() {
	if m == nil {
		return
	}
	if err := m.etcd.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
		m.log.report("close the site's store", err)
	}
}
