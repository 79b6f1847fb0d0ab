// Package node is one running Portico: it reads the configuration (configs), translates it for the parts
// (translate.go), starts them (service.go), puts changes in force (reload.go, settings.go), answers the API (a file for
// each noun, such as servers.go and users.go) and ends everything in order. It is the only package that knows all
// parts. It does not know who asks, nor any command line; what the parts do by themselves is their business.
package node

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"portico/backend"
	"portico/cmd/portico/datadir"
	"portico/cmd/portico/release"
	"portico/configs"
	"portico/configs/store"
	"portico/health"
	"portico/health/admin"
	"portico/health/components"
	"portico/health/maintenance"
	"portico/health/overrides"
	"portico/health/recovery"
	"portico/health/repairing"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/certs"
	"portico/proxy/relay"
)

// adminPatience is how long requests over HTTP may take to end when the service stops.
const adminPatience = time.Second

// service is Portico at work: everything that serve starts and stops. Its methods are for one goroutine, but for those
// of readiness.go.
type service struct {
	file    string
	log     zerolog.Logger
	sink    *logSink
	started *configs.Config // what it runs with, where only a restart takes a change

	inForce  atomic.Pointer[inForce] // what it goes by else; nil before the start
	changing sync.Mutex              // one change at a time
	planning sync.Mutex              // one plan of probes and monitors at a time; taken after changing

	lasting
	disk       *store.File              // is the site's store and this node's
	stored     stored                   // what is in both
	storeState *storeMetrics            // what was found there last
	errors     proxy.LogLimiter[string] // those that were reported
	tickets    *certs.Tickets
	shown      *certificateMetrics
	registry   *prometheus.Registry
	reloads    *reloadMetrics
	admin      *admin.Server
	server     *proxy.Server // owns relay
	relay      relay.Relay
	protocol   *protolog.Log
	health     *health.Engine
	escalator  *health.Escalator
	recovery   *recovery.Responders
	recoveries *recoveryMetrics
	// what operators and recovery have set; each follows the store
	components  *components.Set
	overrides   *overrides.Set
	repairing   *repairing.Set
	maintenance *maintenance.Set
	probing     context.Context // of probes, and of what follows the store for them
	stopProbes  func()          // nil before there are any
	listeners   listeners
	http        net.Addr // of the admin's HTTP; nil if it listens on no address

	failing  failingCopies
	moves    moves // of databases and users, under way
	draining atomic.Bool
	group    sync.WaitGroup  // every goroutine it starts
	upkeep   context.Context // of what goes on beside all else
	idle     func()          // ends upkeep
	failed   chan error      // a listener that came to an unforeseen end
}

// lasting is what the mailbox tiers of all reloads share.
type lasting struct {
	site            store.Store // of the whole site
	active          *backend.ActiveManager
	mechanisms      *backend.OfferedMechanisms
	circuitBreakers *backend.CircuitBreakers
	outcomes        *backend.SigninOutcomes
	signinQueues    *backend.SigninQueues
	report          func(what string, err error) // called for what goes wrong later and does not stop the service
}

// newLasting returns what the first tier finds: in the site's store, and in this node's.
func newLasting(ctx context.Context, site, local store.Store, report func(what string, err error)) (of lasting,
	err error) {
	of = lasting{site: site, report: report, circuitBreakers: backend.NewCircuitBreakers(time.Now, rand.Float64),
		outcomes: backend.NewSigninOutcomes(time.Now), signinQueues: backend.NewSigninQueues(time.Now)}
	of.active, err = backend.NewActiveManager(ctx, site, func(err error) {
		report("stored state of databases and mailbox servers not usable", err)
	})
	if err != nil {
		return of, err
	}
	of.mechanisms, err = backend.NewOfferedMechanisms(ctx, local)
	return of, err
}

// startService opens and starts everything that config asks for, or nothing.
func startService(config *configs.Config, file string, out io.Writer) (*service, error) {
	s := &service{file: file, started: config, registry: prometheus.NewRegistry()}
	s.log, s.sink = newLog(out, config.Log, toJournal(out, os.Getenv("JOURNAL_STREAM")))
	s.listeners.log, s.listeners.wanted, s.listeners.group, s.listeners.ended = s.log, config.Listeners,
		&s.group, s.fail
	s.upkeep, s.idle = context.WithCancel(context.Background())
	s.failed = make(chan error, len(config.Listeners)+2)
	for _, warning := range config.Warnings() {
		s.log.Warn().Msg(warning.Error())
	}
	s.changing.Lock() // requests over HTTP that come before all has started wait
	err := s.start()
	s.changing.Unlock()
	if err != nil {
		s.shutdown(cancelled())
		return nil, err
	}
	return s, nil
}

// now is what is in force.
func (s *service) now() *inForce { return s.inForce.Load() }

// start is startService without the cleaning up.
func (s *service) start() (err error) {
	cpus := runtime.GOMAXPROCS(0) // what the machine or its control group allows
	s.log.Info().Str("version", release.Version()).Str("config", s.file).Uint64("descriptors", descriptorLimit()).
		Int("loops", loops(s.started, cpus)).Int("setup_slots", signinThreads(s.started, cpus)).Msg("starting")
	if s.disk, err = datadir.Open(s.started, s.file); err != nil {
		return err
	}
	s.stored = newStored(s.disk, s.disk)
	if s.lasting, err = newLasting(context.Background(), s.disk, s.disk, s.reported); err != nil {
		return err
	}
	if s.tickets, err = certs.NewTickets(cryptorand.Reader); err != nil {
		return err
	}
	first, err := s.prepare(context.Background(), s.started)
	if err != nil {
		return err
	}
	s.inForce.Store(first)
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.reloads = newReloadMetrics(s.registry)
	s.shown = newCertificateMetrics(s.registry)
	s.registry.MustRegister(tierCollector{s})
	if err := s.use(first.front); err != nil {
		return err
	}
	s.storeState = newStoreMetrics(s.registry)
	s.group.Go(func() { s.keepStore(s.upkeep) })
	if err := s.startProtocolLog(loops(s.now().config, cpus)); err != nil {
		return err
	}
	if err := s.startProxy(first.settings(), cpus); err != nil {
		return err
	}
	if err := s.startHealth(); err != nil {
		return err
	}
	if err := s.startAdmin(); err != nil { // its API needs the proxy
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	s.useHealthPlan()
	s.followStates()
	return nil
}

// startProxy starts relay and server. Each loop and each sign-in thread keeps a processor of the Go scheduler to
// itself; as many as the machine has are for everything else: passwords to verify, lookups, the collector of garbage,
// the admin's HTTP.
func (s *service) startProxy(settings proxy.Settings, cpus int) error {
	runtime.GOMAXPROCS(loops(s.now().config, cpus) + signinThreads(s.now().config, cpus) + cpus)
	options := relayOptions(s.now().config, cpus)
	options.Watch, options.Panicked = proxy.Watch(s.protocol), proxy.LogPanics(s.log, time.Now)
	options.FellBack = func(reason error) {
		s.log.Warn().Err(reason).Msg("event loops do not work here, goroutines carry sessions without command limits")
	}
	var err error
	if s.relay, err = relay.New(options); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if loops, ok := s.relay.(interface{ IO() (relay.IO, error) }); ok {
		if _, err := loops.IO(); err != nil {
			s.log.Info().Err(err).Msg("io_uring not available: event loops use epoll")
		}
	}
	s.bound(s.now().config)
	s.server, err = proxy.New(proxy.Options{
		Settings: settings, Relay: s.relay, Log: s.sink.patient(s.log), Registerer: s.registry,
		SigninThreads: signinThreads(s.now().config, cpus),
		ProtocolLog:   s.protocol, KeptDescriptors: keptDescriptors(descriptorLimit()),
		Random: cryptorand.Reader, Now: time.Now, Sleep: proxy.Sleep,
	})
	if err == nil {
		s.group.Go(func() { keepTidy(s.upkeep, s.server.Clients) })
		s.group.Go(func() { s.keepMechanisms(s.upkeep) })
		s.group.Go(func() { s.keepCertificates(s.upkeep) })
	}
	return err
}

// reported logs an error that stops nothing. While a fault lasts, its line is written once a minute.
func (s *service) reported(what string, err error) {
	leftOut, due := s.errors.Due(what+": "+withoutNumbers(err.Error()), time.Now())
	if !due {
		return
	}
	event := s.log.Error().Err(err)
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	event.Msg(what)
}

// use puts a front in force, but for the settings that lead to it.
func (s *service) use(f *front) error {
	if f.tls != nil {
		if err := s.tickets.Use(f.tls); err != nil {
			return err
		}
		s.shown.set(f.certificates)
	}
	s.circuitBreakers.Configure(f.circuitBreaker)
	s.signinQueues.Configure(f.pace)
	return nil
}

// setupNiceness is that of all threads but the loops'. Sign-ins then take a little longer on a busy machine, and
// nobody else's command waits for them.
const setupNiceness = 10

// favourLoops lets the loops have the processor before everything else. It changes the whole process for good.
func (s *service) favourLoops() {
	loops, ok := s.relay.(interface{ LowerOthers(niceness int) error })
	if !ok {
		return
	}
	if err := loops.LowerOthers(setupNiceness); err != nil {
		s.log.Warn().Err(err).Msg("sign-ins may delay commands")
	}
}

// listen opens all listeners, and puts the databases in force, before the first listener takes a client.
func (s *service) listen() error {
	if err := s.listeners.listen(); err != nil {
		return err
	}
	if err := s.configure(context.Background(), s.now().tier()); err != nil { // nothing else can fail any more
		s.listeners.abandon()
		return fmt.Errorf("databases: %w", err)
	}
	s.listeners.serve(s.server)
	s.group.Go(func() { s.listeners.keep(s.upkeep) })
	return nil
}

func (s *service) startAdmin() (err error) {
	config, access := s.now().config, s.now().access
	s.admin, err = admin.New(admin.Options{Gatherer: s.registry, Checks: s.checks(), API: s.api(),
		Access: access, Log: s.log, Node: s.node})
	if err != nil {
		return err
	}
	if address := config.Admin.Address; address != "" {
		ln, err := admin.ListenTCP(context.Background(), address, access)
		if err != nil {
			return fmt.Errorf("admin.address %s: %w", address, err)
		}
		s.http = ln.Addr()
		s.serveAdmin(ln)
	}
	if path := config.Admin.Socket; path != "" {
		ln, err := admin.ListenUnix(context.Background(), path, config.Admin.SocketGroup)
		if err != nil {
			return fmt.Errorf("admin.socket: %w", err)
		}
		s.serveAdmin(ln)
	}
	return nil
}

// api is what the admin's API shows and does.
func (s *service) api() admin.API {
	return admin.API{
		Node: nodeAPI{s}, Servers: serversAPI{s}, Databases: databasesAPI{s}, Users: usersAPI{s},
		Sessions: sessionsAPI{s}, Settings: settingsAPI{s}, Penalties: penaltiesAPI{s}, Monitors: monitorsAPI{s},
		Probes: probesAPI{s}, Overrides: overridesAPI{s}, Components: componentsAPI{s}, Recovery: recoveryAPI{s},
		Maintenance: maintenanceAPI{s}, Log: logAPI{s.protocol, s}, Store: storeAPI{s},
	}
}

func (s *service) serveAdmin(ln net.Listener) {
	s.log.Info().Stringer("address", ln.Addr()).Msg("HTTP server started")
	s.group.Go(func() { s.fail(s.admin.Serve(ln)) })
}

// fail passes the end of a listener on, if it was not asked to end.
func (s *service) fail(err error) {
	if err != nil {
		s.failed <- err
	}
}

// shutdown ends everything: sessions when they have no open command, or at ctx's end, and the rest after them. It
// returns when no goroutine and no descriptor is left, and tells whether all ended by itself. It may be called on a
// service that is only half started.
func (s *service) shutdown(ctx context.Context) (inOrder bool) {
	s.draining.Store(true)
	s.listeners.close()
	s.moves.stop()
	inOrder = true
	if s.stopProbes != nil { // what they find while all ends is no news
		s.stopProbes()
	}
	if s.server != nil {
		inOrder = s.server.Shutdown(ctx) == nil
		runtime.SetDefaultGOMAXPROCS()
	}
	s.moves.end(moveGrace) // while the store is open, and whoever has asked is still there for the answer
	if s.protocol != nil { // it has the last rows now; who watches goes before the admin waits for them
		s.protocol.Close()
	}
	if s.admin != nil {
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminPatience)
		defer cancel()
		if err := s.admin.Shutdown(patience); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.log.Warn().Err(err).Msg("HTTP server did not stop cleanly")
		}
	}
	s.idle()
	s.group.Wait()
	if now := s.now(); now != nil {
		now.front.tier.Close()
	}
	if s.disk != nil {
		if err := s.disk.Close(); err != nil {
			s.log.Error().Err(err).Msg("store did not close cleanly")
		}
	}
	s.sink.flush()
	return inOrder
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
