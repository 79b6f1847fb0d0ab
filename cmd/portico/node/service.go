// Package node is one running Portico: it reads the configuration (configs), translates it for the parts
// (translate.go), starts them (service.go), puts changes in force (apply.go, reload.go, settings.go), answers the API
// (a file for each noun, such as servers.go and users.go) and ends everything in order. It is the only package that
// knows all parts. It does not know who asks, nor any command line.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"portico/cmd/portico/release"
	"portico/configs"
	"portico/configs/store"
	"portico/protolog"
	"portico/proxy/relay"
)

// service is one running Portico. Each part is a type that says what guards it. newService makes the parts that need
// nothing open, start makes the others, and startHealth connects those that need one another. shutdown ends them in
// about the reverse order of the fields.
type service struct {
	began      time.Time
	patience   time.Duration  // lastPatience
	config     *configuration // what is in force, and the lock that serializes changes
	log        *nodeLog
	metrics    *prometheus.Registry
	reloads    *reloadMetrics
	background *background   // goroutines, and the context that ends them
	store      *nodeStore    // what is kept on disk; nil before start, as are those below that can fail to start
	cluster    *membership   // this node as one of a site; nil for a node alone
	mailbox    *mailboxState // what is known of mailbox servers and databases
	clients    *clientSide   // listeners, sign-in, relay
	figures    *figures      // of the last hour
	protocol   *protolog.Log
	components *componentStates // what is in service
	monitoring *monitoring      // probes and monitors, and what operators change about them
	moves      *mover           // of databases and users
	recovery   *recovering      // what is done about failing monitors
	alerts     *alerting        // who is told about them
	api        *apiServer       // HTTP
	applies    *applies         // of whole configurations

	previous    *takeover    // the start in place of another process; nil for a start by itself, and afterwards
	generations *generations // earlier processes that carry sessions
	sessions    *carriedSessions
	upgrades    *upgrades
}

// startService opens and starts everything that a configuration asks for, or nothing.
func startService(chosen choice, file string, out io.Writer, previous *takeover,
	given activated) (*service, error) {
	config := chosen.config
	s := newService(config, file, out)
	s.previous, s.clients.listeners.given = previous, given
	s.applies = newApplies(s, chosen)
	for _, warning := range config.Warnings() {
		s.log.Warn().Msg(warning.Error())
	}
	s.config.changing.Lock() // requests over HTTP that come before all has started wait
	err := s.start()
	s.config.changing.Unlock()
	if err != nil {
		s.generations.leave()
		s.shutdown(cancelled())
		return nil, err
	}
	return s, nil
}

// newService connects the parts. Nothing is open yet.
func newService(config *configs.Config, file string, out io.Writer) *service {
	s := &service{
		began:      time.Now(),
		patience:   lastPatience,
		config:     &configuration{path: file, started: config},
		log:        &nodeLog{},
		metrics:    prometheus.NewRegistry(),
		background: newBackground(),
		api:        &apiServer{},
	}
	s.log.Logger, s.log.sink = newLog(out, config.Log, toJournal(out, os.Getenv("JOURNAL_STREAM")))
	s.clients = newClientSide(s.config, s.log, s.background)
	s.generations = &generations{log: s.log, logs: s.logged, group: &s.background.group, silence: silenceTime,
		folder: filepath.Join(config.DataDir, generationsFolder), ended: relay.NewStats()}
	s.sessions = &carriedSessions{s.clients, s.generations}
	s.moves = &mover{config: s.config, log: s.log, sessions: s.sessions}
	s.upgrades = &upgrades{s: s, time: upgradeTime, retired: make(chan *retirement, 1)}
	return s
}

// current returns the configuration in force. It is nil before the start.
func (s *service) current() *inForce { return s.config.current() }

// start is startService without the cleaning up.
func (s *service) start() (err error) {
	config, cpus := s.config.started, runtime.GOMAXPROCS(0) // what the machine or its control group allows
	s.log.Info().Str("version", release.Version()).Str("config", s.config.path).
		Uint64("descriptors", descriptorLimit()).Int("loops", loops(config, cpus)).
		Int("setup_slots", signinThreads(config, cpus)).Msg("starting")
	if err := s.openStore(); err != nil {
		return err
	}
	if err := s.putFirstInForce(); err != nil {
		return err
	}
	s.store.state = newStoreMetrics(s.metrics)
	s.background.runOwned(func(ctx context.Context) { s.store.keep(ctx, s.config) })
	s.background.runOwned(s.cluster.keep)
	if err := s.startProtocolLog(loops(s.current().config, cpus)); err != nil {
		return err
	}
	if err := s.clients.start(cpus, s.protocol, s.metrics, s.previous); err != nil {
		return err
	}
	s.generations.server, s.generations.protocol = s.clients.server, s.protocol
	if err := s.generations.adopt(context.Background(), s.previous.earlier()); err != nil {
		return err
	}
	if err := shareClients(s.cluster, s.clients, s.mailbox, s.background, s.metrics); err != nil {
		return err
	}
	s.figures = newFigures(s.clients.server.Counts)
	s.background.run(s.figures.run)
	s.background.run(func(ctx context.Context) { keepTidy(ctx, s.clients.server.Clients) })
	s.background.run(func(ctx context.Context) { keepMechanisms(ctx, s.config, s.log) })
	s.background.run(s.clients.keepCertificates)
	if err := s.startHealth(); err != nil {
		return err
	}
	if err := s.startAPI(); err != nil { // needs all other parts
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	s.tellUnused()
	s.monitoring.plan()
	s.followStates()
	return nil
}

// openStore opens the store, and reads what the tiers share.
func (s *service) openStore() error {
	ctx := context.Background()
	local, err := s.previous.openStore(s.config.started, s.config.path)
	if err != nil {
		return err
	}
	s.store = &nodeStore{stored: newStored(local, local), site: local, local: local, log: s.log} // to be closed
	if s.cluster, err = joinSite(ctx, s.config.started, local, s.log, s.background.fail); err != nil {
		return err
	}
	s.store.etcd, s.store.site = s.cluster, s.cluster.site(local)
	s.store.stored = newStored(s.store.site, local)
	s.mailbox, err = newMailboxState(ctx, s.store.site, local, s.cluster.members(), s.log.report)
	if err == nil {
		s.mailbox.pauseWith(s.cluster)
		s.clients.countWith(ctx, s.cluster)
	}
	return err
}

// putFirstInForce puts the configuration of the start in force, with the stored settings over it.
func (s *service) putFirstInForce() error {
	if err := s.clients.openTLS(s.metrics, s.previous); err != nil {
		return err
	}
	first, err := s.prepare(context.Background(), s.config.started)
	if err != nil {
		return err
	}
	s.config.inForce.Store(first)
	s.metrics.MustRegister(newBuildInfo(), collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), tierCollector{s.config, s.mailbox})
	if s.cluster != nil {
		s.metrics.MustRegister(s.cluster)
	}
	s.reloads = newReloadMetrics(s.metrics)
	return s.use(first.front)
}

// startHealth starts what looks after the node and the mailbox servers.
func (s *service) startHealth() error {
	s.components = &componentStates{config: s.config, log: s.log, clients: s.clients}
	s.monitoring = &monitoring{config: s.config, log: s.log, store: s.store, mailbox: s.mailbox, clients: s.clients,
		sessions: s.sessions, cluster: s.cluster, compare: canariesAPI{s}.compare}
	s.alerts = &alerting{config: s.config, log: s.log, store: s.store, mailbox: s.mailbox, components: s.components,
		monitoring: s.monitoring, background: s.background,
		nodes: s.nodeNames, bundle: s.bundle}
	s.recovery = &recovering{config: s.config, log: s.log, store: s.store, mailbox: s.mailbox,
		components: s.components, monitoring: s.monitoring, moves: s.moves, cluster: s.cluster,
		canaries: canariesAPI{s},
		metrics:  newRecoveryMetrics(s.metrics), restartFrontEnd: s.restartFrontEnd, helped: s.alerts.recovered}
	s.alerts.recovery, s.monitoring.unusable = s.recovery, s.recovery.unusable
	s.moves.monitors, s.moves.cluster = s.monitoring, s.cluster
	if err := s.components.start(s.store.components, s.metrics); err != nil {
		return err
	}
	if err := s.monitoring.start(s.metrics, s.moves.evacuate); err != nil {
		return err
	}
	if err := s.recovery.start(); err != nil {
		return err
	}
	if err := s.alerts.start(); err != nil {
		return err
	}
	s.monitoring.run(s.background)
	s.background.group.Go(func() { s.alerts.escalator.Run(s.monitoring.ctx) })
	s.background.group.Go(func() { s.recovery.responders.Run(s.monitoring.ctx) })
	return nil
}

// use puts a front in force, except for the settings that lead to it.
func (s *service) use(f *front) error {
	if err := s.clients.useTLS(f); err != nil {
		return err
	}
	s.mailbox.circuitBreakers.Configure(f.circuitBreaker)
	s.mailbox.signinQueues.Configure(f.pace)
	return nil
}

// listen opens all listeners, and puts the databases in force, before the first listener takes a client.
func (s *service) listen() error {
	listeners := &s.clients.listeners
	opened, err := listeners.prepare(s.config.started.Listeners, s.previous)
	if err != nil {
		return err
	}
	listeners.use(opened)
	if err := s.configure(context.Background(), s.current().tier()); err != nil { // nothing else can fail any more
		listeners.abandon()
		return fmt.Errorf("databases: %w", err)
	}
	if s.previous != nil {
		if err := s.prove(context.Background()); err != nil {
			listeners.abandon()
			return err
		}
	}
	listeners.serve(s.clients.server)
	s.background.runOwned(listeners.keep)
	s.background.runOwned(canariesAPI{s}.endCanaries)
	return nil
}

// tellUnused warns of sockets of the service manager that neither clients nor HTTP have.
func (s *service) tellUnused() {
	open := s.clients.listeners.addresses()
	for _, one := range s.api.open {
		open = append(open, one.Addr())
	}
	for _, address := range s.given().unused(open) {
		s.clients.listeners.tellUnused(address)
	}
}

// restartFrontEnd builds listeners and sign-in again from the configuration in force. It reads certificates and keys
// again, and connects again to directories and mailbox servers. Sessions continue.
func (s *service) restartFrontEnd(ctx context.Context) error {
	if err := s.apply(ctx, func(current *inForce) (*inForce, error) {
		front, err := newFront(ctx, current.config, s.mailbox)
		next := *current
		next.front = front
		return &next, err
	}, nil); err != nil {
		return err
	}
	return s.clients.listeners.relisten()
}

// shutdown ends everything: sessions when they have no open command, or at ctx's end, and the rest after them. It
// returns when no goroutine and no descriptor is left, and says whether all sessions ended by themselves. It may be
// called on a service that is only half started.
func (s *service) shutdown(ctx context.Context) (inOrder bool) {
	s.background.draining.Store(true)
	s.upgrades.stop()
	s.applies.stop()
	s.clients.listeners.close()
	s.moves.underWay.stop()
	if s.monitoring != nil { // what probes find while all ends means nothing
		s.monitoring.end()
	}
	var earlier sync.WaitGroup
	earlier.Go(func() { s.generations.stop(ctx) })
	inOrder = s.clients.shutdown(ctx)
	earlier.Wait()
	s.moves.underWay.end(moveGrace) // while the store is open, and callers still wait for the answer
	if s.protocol != nil {          // it has its last rows; this ends log tail, which HTTP would wait for
		s.protocol.Close()
	}
	if err := s.api.shutdown(ctx); err != nil {
		s.log.Warn().Err(err).Msg("HTTP server did not stop cleanly")
	}
	s.config.stop(errStopping)
	s.background.wait()
	if s.leaves() {
		s.cluster.leave()
	}
	if current := s.current(); current != nil {
		current.front.tier.Close()
	}
	s.cluster.close()
	if s.store != nil {
		if err := s.store.local.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			s.log.Error().Err(err).Msg("store did not close cleanly")
		}
	}
	select {
	case left := <-s.upgrades.retired: // its sessions and rows have come to the other process
		left.close()
	default:
	}
	s.log.sink.flush()
	return inOrder
}

// leaves says whether this process is the last one of a node that has ended, and no other takes its place.
func (s *service) leaves() bool {
	return !s.config.retired.Load() && s.previous == nil && len(s.generations.rows()) == 0
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// followStates begins to follow what other nodes store, and what ends with time.
func (s *service) followStates() {
	for _, run := range []func(context.Context){s.components.set.Run, s.monitoring.overrides.Run,
		s.monitoring.repairing.Run, s.monitoring.maintenance.Run} {
		s.background.group.Go(func() { run(s.monitoring.ctx) })
	}
	s.background.group.Go(func() { s.followSettings(s.monitoring.ctx) })
	s.background.group.Go(func() { s.moves.follow(s.monitoring.ctx, s.mailbox) })
}
