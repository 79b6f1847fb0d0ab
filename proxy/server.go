package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"portico/proxy/setup"
)

// Server accepts connections, signs their users in and hands them to its relay. Its methods are safe for concurrent
// use. A server that has been shut down stays so.
type Server struct {
	opt       Options
	gate      *admission
	threads   setup.Threads
	warned    warned
	lines     lines
	penalties *penalties
	guesses   *guesses
	passes    passes
	metrics   *metrics
	ended     endings
	places    places
	doorLog   zerolog.Logger // for refusals at the door: a flood of connections must not become a flood of lines
	stats     setupStats
	shortages atomic.Uint64 // see Shortages

	reloading sync.Mutex
	settings  atomic.Pointer[Settings]
	tier      atomic.Pointer[tierInUse]
	away      atomic.Bool // out of service

	drain   context.Context         // ends when sessions in set-up have to say goodbye
	cancel  context.CancelCauseFunc // ends drain
	inSetUp registry
	setup   sync.WaitGroup // accept loops and sessions in set-up

	mu        sync.Mutex
	listeners []*served

	closeOnce sync.Once
	closed    chan struct{}
	upkeep    sync.WaitGroup // goroutines that live as long as the server
}

// refusalsLogged is how many connections refused at the door are logged each second; all are counted.
const refusalsLogged = 10

// New returns a Server. From now on it owns Options.Relay, even if New fails.
func New(opt Options) (*Server, error) {
	s, err := newServer(opt)
	if err != nil && opt.Relay != nil {
		opt.Relay.Close()
	}
	return s, err
}

func newServer(opt Options) (*Server, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("proxy options: %w", err)
	}
	s := &Server{opt: opt, gate: newAdmission(opt.Now), closed: make(chan struct{}), penalties: newPenalties(opt.Now),
		guesses: newGuesses(opt.Now, opt.Sleep)}
	var err error
	if s.metrics, err = newMetrics(opt.Registerer, s.gate.counts, s.Shortages,
		newRelayCollector(s.Stats)); err != nil {
		return nil, err
	}
	logPanic := LogPanics(opt.Log, opt.Now)
	s.threads, err = setup.Start(setup.Options{
		Threads: opt.SetupSlots, Kept: opt.KeptDescriptors, Check: opt.CheckThreads,
		Panicked: func(value any, stack []byte) {
			s.metrics.panics.Inc()
			logPanic(value, stack)
		},
		FellBack: func(reason error) {
			opt.Log.Warn().Err(reason).Msg("sign-in threads do not work here, goroutines sign users in")
		},
	})
	if err != nil {
		return nil, err
	}
	settings := opt.Settings
	s.settings.Store(&settings)
	s.tier.Store(newTierInUse(settings.Tier))
	s.drain, s.cancel = context.WithCancelCause(context.Background())
	s.ended.log, s.ended.gate, s.ended.post = opt.Log, s.gate, s.threads.Post
	s.upkeep.Go(s.keepLines)
	if opt.ProtocolLog != nil {
		s.upkeep.Go(s.rewatch)
	}
	s.doorLog = opt.Log.Sample(&zerolog.BurstSampler{Burst: refusalsLogged, Period: time.Second})
	return s, nil
}

// Reload puts other settings in place, as a whole, for connections accepted from now on, and their tier for sign-ins
// that begin from now on. Sessions that have begun keep the rest. On an error nothing has changed. If the tier is
// another one, freed, which may be nil, is called once no sign-in uses the tier before any more; it must not block.
func (s *Server) Reload(settings Settings, freed func()) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if err := s.CheckReload(settings); err != nil {
		return err
	}
	s.settings.Store(&settings)
	s.useTier(settings.Tier, freed)
	return nil
}

// CheckReload returns the error that Reload would return, and changes nothing.
func (s *Server) CheckReload(settings Settings) error {
	if err := settings.check(); err != nil {
		return err
	}
	if settings.TLS == nil && s.settings.Load().TLS != nil {
		return errors.New("settings: TLS cannot be removed while listeners offer it")
	}
	return nil
}

// SetService takes the server out of service, or back into it: new clients are told BYE, but for those that come from
// the very address that they connect to, as probes of this process do. Sessions go on.
func (s *Server) SetService(in bool) { s.away.Store(!in) }

// Settings returns those in force for connections accepted from now on.
func (s *Server) Settings() Settings { return *s.settings.Load() }

// Clients returns how many clients have been set up or tried to be, so far.
func (s *Server) Clients() uint64 { return s.inSetUp.count() }

// Shutdown stops the server: it stops accepting, tells sessions in set-up goodbye, and drains the relay until ctx
// ends, when what is left is closed. It returns when no goroutine of the server is left: nil if all ended in order,
// else ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	stop := context.AfterFunc(ctx, s.inSetUp.kill)
	s.setup.Wait()
	s.opt.Relay.Drain(ctx)
	inOrder := stop()
	s.Close()
	if inOrder {
		return nil
	}
	return context.Cause(ctx)
}

// Close ends everything at once, and returns when no goroutine of the server is left.
func (s *Server) Close() {
	s.stopListening()
	s.inSetUp.kill()
	s.setup.Wait()
	s.closeOnce.Do(func() {
		close(s.closed)
		s.upkeep.Wait()
		s.threads.Stop()
		s.opt.Relay.Close()
	})
	s.ended.wait()
}
