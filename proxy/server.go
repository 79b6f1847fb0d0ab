package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"portico/proxy/relay"
	"portico/proxy/setup"
)

// Server accepts connections, signs their users in and hands them to its relay. Its methods are safe for concurrent
// use. A server that has been shut down stays so.
type Server struct {
	opt         Options
	admission   *admission
	threads     setup.Threads
	warned      warningLimiter
	lines       lineLimiter
	authDelays  *authDelays
	guesses     *guessLimiter
	probePasses probePasses
	metrics     *metrics
	ended       endings
	sharedInfos sharedInfos
	listed      *sharedList[Session]
	slowest     *sharedList[SlowCommand]
	refusalLog  zerolog.Logger // for connections refused on accept: a flood of them must not become a flood of lines
	stats       setupStats
	earlier     atomic.Pointer[relay.Stats] // see CountEarlier; nil for none
	signins     *signinCounts
	shortages   atomic.Uint64 // see Shortages

	reloading sync.Mutex
	settings  atomic.Pointer[Settings]
	tier      atomic.Pointer[tierInUse]
	away      atomic.Bool // out of service

	drain   context.Context         // ends when sessions in set-up must send BYE and end
	cancel  context.CancelCauseFunc // ends drain
	inSetUp registry
	setup   sync.WaitGroup // accept loops and sessions in set-up

	mu        sync.Mutex
	listeners []*activeListener

	closeOnce sync.Once
	closed    chan struct{}
	upkeep    sync.WaitGroup // goroutines that run as long as the server
}

// refusalsLogged is how many connections refused on accept are logged each second; all are counted.
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
	keys, err := opt.keys()
	if err != nil {
		return nil, err
	}
	s := &Server{opt: opt, admission: newAdmission(opt.Now), closed: make(chan struct{}),
		authDelays: newAuthDelays(keys, opt.Now), guesses: newGuessLimiter(keys, opt.Now, opt.Sleep),
		signins: newSigninCounts()}
	s.listed, s.slowest = newSharedList(opt, s.listSessions), newSharedList(opt, s.listSlow)
	if opt.Memory != nil && opt.Memory.Keys == keys {
		opt.Memory.recall(s.authDelays, s.guesses)
	}
	if opt.Seed != nil {
		s.joinSite(keys)
	}
	if s.metrics, err = newMetrics(opt.Registerer, s.admission.counts, s.Shortages,
		newRelayCollector(s.Stats)); err != nil {
		return nil, err
	}
	logPanic := LogPanics(opt.Log, opt.Now)
	s.threads, err = setup.Start(setup.Options{
		Threads: opt.SigninThreads, Kept: opt.KeptDescriptors, Check: opt.CheckThreads,
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
	s.ended.log, s.ended.admission, s.ended.post = opt.Log, s.admission, s.threads.Post
	s.upkeep.Go(s.keepLines)
	if opt.ProtocolLog != nil {
		s.upkeep.Go(s.rewatch)
	}
	s.refusalLog = opt.Log.Sample(&zerolog.BurstSampler{Burst: refusalsLogged, Period: time.Second})
	return s, nil
}

// Reload replaces all settings for connections accepted from now on, and the tier for sign-ins that begin from now on.
// Existing sessions keep the rest of their settings. On an error nothing changes. If the tier changes, Reload calls
// freed once no sign-in uses the old tier. freed must not block, and may be nil.
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

// SetService takes the server out of service, or back into it. Out of service, new clients get BYE, except those that
// connect from the address that they connect to, as probes of this process do. Open sessions continue.
func (s *Server) SetService(in bool) { s.away.Store(!in) }

// Settings returns those in force for connections accepted from now on.
func (s *Server) Settings() Settings { return *s.settings.Load() }

// Clients returns how many set-ups have begun so far.
func (s *Server) Clients() uint64 { return s.inSetUp.count() }

// Retire stops accepting, for another process that has the listeners too. Sessions in set-up and signed-in sessions go
// on.
func (s *Server) Retire() {
	s.mu.Lock()
	listeners := slices.Clone(s.listeners)
	s.mu.Unlock()
	for _, active := range listeners {
		s.StopServing(active.Listener)
	}
}

// EndSetUps sends BYE to sessions in set-up, and returns when there are none. It is for a server that has retired:
// afterwards nobody signs in.
func (s *Server) EndSetUps() {
	s.stopListening()
	s.setup.Wait()
}

// Shutdown stops the server: it stops accepting, sends BYE to sessions in set-up, and drains the relay. When ctx ends,
// it closes the remaining sessions. It returns when no goroutine of the server is left: nil if all sessions ended in
// order, otherwise ctx's error.
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

// Close ends all sessions at once, and returns when no goroutine of the server is left.
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
