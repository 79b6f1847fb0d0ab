// Package node is one running Portico: it reads the configuration (configs), translates it for the parts
// (translate.go), starts them (service.go), puts changes in force (reload.go, settings.go), answers the API
// (control*.go, health.go) and ends everything in order. It is the only package that knows all parts. It does not know
// who asks, nor any command line; what the parts do by themselves is their business.
package node

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
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
	"portico/health/recovery"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/certs"
	"portico/proxy/relay"
)

// adminPatience is how long requests over HTTP may take to end when the service stops.
const adminPatience = time.Second

// service is Portico at work: everything that serve starts and stops. Its methods are for one goroutine, but for those
// of checks.go.
type service struct {
	file    string
	log     zerolog.Logger
	sink    *logSink
	started *configs.Config // what it runs with, where only a restart takes a change

	changing   sync.Mutex       // one reload or change of settings at a time; guards the rest
	config     *configs.Config  // what it runs with else
	overridden int              // overrides of probes and monitors in force
	inFile     configs.Settings // the settings of the file, some of which stored ones may beat
	access     admin.Access

	lasting
	disk        *store.File           // is store
	stored      *storeMetrics         // what was found there last
	errors      proxy.Seldom[string]  // those that were reported
	backups     atomic.Int64          // daily copies of it to keep
	front       atomic.Pointer[front] // in force
	tickets     *certs.Tickets
	shown       *certificateMetrics
	registry    *prometheus.Registry
	reloads     *reloadMetrics
	admin       *admin.Server
	server      *proxy.Server // owns relay
	relay       relay.Relay
	protocol    *protolog.Log
	health      *health.Engine
	escalator   *health.Escalator
	recovery    *recovery.Responders
	healthOf    atomic.Pointer[configs.Health] // in force
	recoveries  *recoveryMetrics
	nodes       atomic.Pointer[map[string]http.Handler] // the ways to other nodes
	components  health.Components
	stopProbes  func()       // nil before there are any
	healthBoxes atomic.Value // map[string]configs.HealthMailbox: those in force
	addresses   struct {     // as opened, in the order of the file
		listeners []net.Addr
		admin     net.Addr
	}
	// that take clients, in the order of the file; changing guards them, once the service has started
	open []net.Listener

	failing  failingCopies
	moves    moves        // of databases and users, under way
	serving  atomic.Int32 // listeners that take clients
	draining atomic.Bool
	group    sync.WaitGroup  // every goroutine it starts
	upkeep   context.Context // of what goes on beside all else
	idle     func()          // ends upkeep
	failed   chan error      // a listener that came to an unforeseen end
}

// lasting is what the mailbox tiers of all reloads share.
type lasting struct {
	store    store.Store
	active   *backend.ActiveManager
	survey   *backend.Survey
	breakers *backend.Breakers
	tally    *backend.Tally
	gates    *backend.Gates
	report   func(what string, err error) // called for what goes wrong later and does not stop the service
}

// newLasting returns what the first tier finds. kept is what is stored.
func newLasting(ctx context.Context, kept store.Store, report func(what string, err error)) (of lasting, err error) {
	of = lasting{store: kept, report: report, breakers: backend.NewBreakers(time.Now, rand.Float64),
		tally: backend.NewTally(time.Now), gates: backend.NewGates(time.Now)}
	if of.active, err = backend.NewActiveManager(ctx, kept); err != nil {
		return of, err
	}
	of.survey, err = backend.NewSurvey(ctx, kept)
	return of, err
}

// startService opens and starts everything that config asks for, or nothing.
func startService(config *configs.Config, file string, out io.Writer) (*service, error) {
	s := &service{file: file, started: config, config: config, inFile: config.Settings,
		registry: prometheus.NewRegistry()}
	s.log, s.sink = newLog(out, config.Log, toJournal(out, os.Getenv("JOURNAL_STREAM")))
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

// start is startService without the cleaning up.
func (s *service) start() (err error) {
	cpus := runtime.GOMAXPROCS(0) // what the machine or its control group allows
	s.log.Info().Str("version", release.Version()).Str("config", s.file).Uint64("descriptors", descriptorLimit()).
		Int("loops", loops(s.config, cpus)).Int("setup_slots", setupSlots(s.config, cpus)).Msg("starting")
	if s.disk, err = datadir.Open(s.config, s.file); err != nil {
		return err
	}
	s.store = s.disk
	if s.config, err = s.withStored(s.started); err != nil {
		return err
	}
	if s.lasting, err = newLasting(context.Background(), s.disk, s.reported); err != nil {
		return err
	}
	if s.tickets, err = certs.NewTickets(cryptorand.Reader); err != nil {
		return err
	}
	front, err := newFront(context.Background(), s.config, s.lasting)
	if err != nil {
		return err
	}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.reloads = newReloadMetrics(s.registry)
	s.shown = newCertificateMetrics(s.registry)
	s.registry.MustRegister(tierCollector{s})
	if err := s.use(front); err != nil {
		return err
	}
	s.backups.Store(int64(s.config.Store.Backups))
	s.stored = newStoreMetrics(s.registry)
	s.group.Go(func() { s.keepStore(s.upkeep) })
	if err := s.startProtocolLog(loops(s.config, cpus)); err != nil {
		return err
	}
	if err := s.startProxy(front.settings(s.config), cpus); err != nil {
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
	return s.loadRepairing()
}

// startProxy starts relay and server. Each loop and each set-up thread keeps a processor of the Go scheduler to
// itself; as many as the machine has are for everything else: passwords to verify, lookups, the collector of garbage,
// the admin's HTTP.
func (s *service) startProxy(settings proxy.Settings, cpus int) error {
	runtime.GOMAXPROCS(loops(s.config, cpus) + setupSlots(s.config, cpus) + cpus)
	options := relayOptions(s.config, cpus)
	options.Watch, options.Panicked = proxy.Watch(s.protocol), proxy.LogPanics(s.log, time.Now)
	var err error
	if s.relay, err = relay.New(options); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if loops, ok := s.relay.(interface{ IO() (relay.IO, error) }); ok {
		if _, err := loops.IO(); err != nil {
			s.log.Info().Err(err).Msg("io_uring not available: event loops use epoll")
		}
	}
	s.bound(s.config)
	s.server, err = proxy.New(proxy.Options{
		Settings: settings, Relay: s.relay, Log: s.sink.patient(s.log), Registerer: s.registry,
		SetupSlots:  setupSlots(s.config, cpus),
		ProtocolLog: s.protocol, KeptDescriptors: keptDescriptors(descriptorLimit()),
		Random: cryptorand.Reader, Now: time.Now, Sleep: proxy.Sleep,
	})
	if err == nil {
		s.group.Go(func() { keepTidy(s.upkeep, s.server.Clients) })
		s.group.Go(func() { s.keepSurvey(s.upkeep) })
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
	s.breakers.Configure(f.breaker)
	s.gates.Configure(f.pace)
	s.front.Store(f)
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
	opened := make([]net.Listener, 0, len(s.config.Listeners))
	for i, l := range s.config.Listeners {
		ln, err := listenTCP(l.Address, s.config.Listeners)
		if err != nil {
			for _, ln := range opened {
				ln.Close()
			}
			return fmt.Errorf("listeners[%d]: %w", i, err)
		}
		opened = append(opened, ln)
	}
	if err := s.configure(context.Background(), s.front.Load().tier); err != nil { // nothing else can fail any more
		for _, ln := range opened {
			ln.Close()
		}
		return fmt.Errorf("databases: %w", err)
	}
	s.open = opened
	for i, ln := range opened {
		s.addresses.listeners = append(s.addresses.listeners, ln.Addr())
		s.take(i, ln)
	}
	s.group.Go(func() { s.keepListeners(s.upkeep) })
	return nil
}

// take lets clients in by a listener.
func (s *service) take(i int, ln net.Listener) {
	l := s.started.Listeners[i]
	s.log.Info().Stringer("address", ln.Addr()).Str("tls", string(l.TLS)).Msg("listening")
	s.serving.Add(1)
	s.group.Go(func() {
		defer s.serving.Add(-1)
		s.fail(s.server.Serve(ln, proxy.Listener{Name: l.Address, TLS: listenerTLS[l.TLS],
			ProxyProtocol: l.ProxyProtocol}))
	})
}

// relisten closes all listeners and opens them again where they were. One that can not be opened is left to
// keepListeners. Clients that connect in between are refused. The caller holds changing.
func (s *service) relisten() error {
	var errs []error
	for i, ln := range s.open {
		if s.draining.Load() {
			return errors.New("Portico is stopping")
		}
		if ln != nil {
			s.server.StopServing(ln)
		}
		if err := s.reopen(i); err != nil {
			errs = append(errs, fmt.Errorf("listeners[%d]: %w; will retry", i, err))
		}
	}
	return errors.Join(errs...)
}

// reopen opens one listener where it was. The caller holds changing.
func (s *service) reopen(i int) (err error) {
	if s.open[i], err = listenTCP(s.addresses.listeners[i].String(), s.started.Listeners); err != nil {
		s.open[i] = nil
		return err
	}
	s.take(i, s.open[i])
	return nil
}

// reopenPeriod is how often listeners are tried that could not be opened again.
const reopenPeriod = time.Second

// keepListeners opens what relisten could not, once whoever had taken the port is gone.
func (s *service) keepListeners(ctx context.Context) {
	tick := time.NewTicker(reopenPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.changing.Lock()
		for i, ln := range s.open {
			if ln == nil && !s.draining.Load() {
				s.reopen(i) // until it succeeds; relisten has told why it does not
			}
		}
		s.changing.Unlock()
	}
}

func (s *service) startAdmin() (err error) {
	if s.access, err = adminAccess(s.config.Admin); err != nil {
		return err
	}
	nodes, err := newNodes(s.config)
	if err != nil {
		return err
	}
	s.nodes.Store(&nodes)
	s.admin, err = admin.New(admin.Options{Gatherer: s.registry, Checks: s.checks(), Control: control{s},
		Access: s.access, Log: s.log, Protocol: protocolControl{s.protocol, s}, Health: healthControl{s},
		Store: storeControl{s}, Node: s.node})
	if err != nil {
		return err
	}
	if address := s.config.Admin.Address; address != "" {
		ln, err := admin.ListenTCP(context.Background(), address, s.access)
		if err != nil {
			return fmt.Errorf("admin.address %s: %w", address, err)
		}
		s.addresses.admin = ln.Addr()
		s.serveAdmin(ln)
	}
	if path := s.config.Admin.Socket; path != "" {
		ln, err := admin.ListenUnix(context.Background(), path, s.config.Admin.SocketGroup)
		if err != nil {
			return fmt.Errorf("admin.socket: %w", err)
		}
		s.serveAdmin(ln)
	}
	return nil
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
	if f := s.front.Load(); f != nil {
		f.tier.Close()
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
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
