package node

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// lastPatience is how long a forced stop may take before the process ends as it is.
const lastPatience = 5 * time.Second

// Serve runs a Portico from a configuration file, with its log written to log, until a signal ends it: SIGHUP reads
// the file again, SIGTERM and SIGINT stop it in order, a second one at once. started is called once it takes clients,
// with the addresses of its listeners, in the order of the file, and that of HTTP, nil if there is none. Serve changes
// the niceness of the whole process for good.
func Serve(file string, signals <-chan os.Signal, log io.Writer,
	started func(listeners []net.Addr, http net.Addr)) error {
	return serve(file, signals, log, func(s *service) { s.begun(started) })
}

// ServeDemo is Serve for mailbox servers that are in this process, and so end with it: it refuses upgrades.
func ServeDemo(file string, signals <-chan os.Signal, log io.Writer,
	started func(listeners []net.Addr, http net.Addr)) error {
	return serve(file, signals, log, func(s *service) {
		s.upgrades.refuse(errDemo)
		s.begun(started)
	})
}

// begun tells the caller of Serve that clients are served.
func (s *service) begun(started func(listeners []net.Addr, http net.Addr)) {
	s.clients.favourLoops()
	started(s.clients.listeners.addresses(), s.api.address)
}

// serve is Serve; started gets what runs.
func serve(file string, signals <-chan os.Signal, log io.Writer, started func(*service)) error {
	previous, err := beginTakeover(file)
	if err != nil {
		return err
	}
	given, err := fromServiceManager()
	if err != nil {
		return err
	}
	if previous != nil {
		given = previous.given
	}
	s, err := startFrom(file, log, previous, given)
	if err != nil {
		return err
	}
	watched := startWatchdog(s.log.Logger, func() { s.clients.server.Stats() })
	defer watched()
	notify(s.log.Logger, stateReady)
	s.log.Info().Msg("ready")
	started(s)
	for {
		select {
		case got := <-signals:
			if got != syscall.SIGHUP {
				s.log.Info().Stringer("signal", got).Stringer("timeout", s.shutdownTimeout()).Msg("stopping")
				return s.stop(signals)
			}
			notify(s.log.Logger, reloadingState())
			s.reloadAndTell()
			notify(s.log.Logger, stateReady)
		case left := <-s.upgrades.retired:
			watched()
			why := left.leave(signals)
			s.log.Info().Str("because", why).Stringer("timeout", s.shutdownTimeout()).Msg("stopping")
			s.upgrades.retired <- left
			return s.stop(signals)
		case err := <-s.background.failed:
			s.log.Error().Err(err).Msg("stopping, because this node cannot go on")
			return errors.Join(err, s.stop(signals))
		}
	}
}

// startFrom starts a service from a configuration file, in place of another process if previous is not nil. Sockets
// that the service manager has given are its own from here on.
func startFrom(file string, log io.Writer, previous *takeover, given activated) (s *service, err error) {
	if previous != nil {
		defer func() {
			if err != nil {
				previous.fail(err)
			}
		}()
	}
	chosen, err := choose(file)
	if err != nil {
		return nil, err
	}
	if s, err = startService(chosen, file, log, previous, given); err != nil {
		return nil, err
	}
	s.previous = nil
	if previous != nil {
		s.api.own()
		if err := previous.succeed(); err != nil { // it has ended meanwhile
			s.log.Warn().Err(err).Msg("the process before this one does not answer")
		}
	}
	s.applies.started(chosen)
	return s, nil
}

// shutdownTimeout is the one in force.
func (s *service) shutdownTimeout() time.Duration {
	return s.current().config.ShutdownTimeout
}

// stop shuts down within shutdown_timeout. A signal, other than one to reload, ends the patience.
func (s *service) stop(signals <-chan os.Signal) error {
	notify(s.log.Logger, stateStopping)
	ctx, cancel := context.WithTimeout(context.Background(), s.shutdownTimeout())
	defer cancel()
	stopped := make(chan bool, 1)
	go func() { stopped <- s.shutdown(ctx) }()
	var last <-chan time.Time
	for {
		select {
		case inOrder := <-stopped:
			s.log.Info().Bool("in_order", inOrder).Msg("stopped")
			return nil
		case got := <-signals:
			if got != syscall.SIGHUP && last == nil {
				s.log.Warn().Stringer("signal", got).Msg("stopping at once")
				cancel()
				last = time.After(s.patience)
			}
		case <-last:
			s.log.sink.flush()
			return errors.New("could not stop at once: the process ends with open sessions")
		}
	}
}
