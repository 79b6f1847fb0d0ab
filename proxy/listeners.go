package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"portico/backend"
	"portico/proxy/setup"
)

// Pauses of an accept loop that keeps failing, as when descriptors are short.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// activeListener is a listener at work.
type activeListener struct {
	net.Listener
	stop  context.Context // ends when this listener must stop
	end   context.CancelFunc
	ended chan struct{} // closed when Serve is about to return
}

// Serve accepts connections from ln until StopServing, Shutdown or Close, and then returns nil. It owns ln. One server
// may serve many listeners, each by a call of its own.
func (s *Server) Serve(ln net.Listener, l Listener) error {
	defer ln.Close()
	if l.TLS != TLSNone && s.settings.Load().TLS == nil {
		return fmt.Errorf("listener %s: TLS needs a certificate", l.Name)
	}
	active := s.enlist(ln)
	if active == nil {
		return nil
	}
	defer s.setup.Done()
	defer close(active.ended)
	defer active.end()
	defer ln.Close()
	listener := &listener{Listener: l, results: s.metrics.connections(l.Name)}
	if tcp, ok := ln.(*net.TCPListener); ok {
		err := s.acceptOnThreads(tcp, listener, active.stop)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return s.acceptHere(ln, listener, active.stop)
}

// acceptOnThreads makes the sign-in threads accept connections themselves, so that no connection passes through the Go
// scheduler.
func (s *Server) acceptOnThreads(ln *net.TCPListener, listener *listener, stop context.Context) error {
	end, err := s.threads.Accept(ln, func(conn setup.Conn) {
		listener.failures.Store(0)
		s.admit(conn, listener)
	}, func(err error) time.Duration { return s.acceptFailed(listener, err) })
	switch {
	case stop.Err() != nil && err != nil:
		return nil
	case err != nil:
		return fmt.Errorf("listener %s: %w", listener.Name, err)
	}
	<-stop.Done()
	end()
	return nil
}

// acceptHere accepts connections from listeners that the sign-in threads cannot use.
func (s *Server) acceptHere(ln net.Listener, listener *listener, stop context.Context) error {
	for {
		conn, err := ln.Accept()
		if err == nil {
			listener.failures.Store(0)
			s.setup.Add(1)
			err = s.threads.Adopt(conn, func(conn setup.Conn) {
				defer s.setup.Done()
				s.admit(conn, listener)
			})
			if err != nil {
				s.setup.Done()
			}
		}
		switch {
		case err == nil:
		case stop.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %s: %w", listener.Name, err)
		case s.opt.Sleep(stop, s.acceptFailed(listener, err)) != nil:
			return nil
		}
	}
}

// shedAtOnce is how many connections before sign-in end when descriptors or memory are short: a sign-in needs some
// too, and accepting goes on only after a pause.
const shedAtOnce = 16

// shedIfShort ends connections before sign-in if an error says that we have no descriptors or no memory left. It
// returns whether some have ended. except is the ticket of the sign-in that has got the error, nil for none.
func (s *Server) shedIfShort(err error, except *ticket) bool {
	if backend.IsLocal(err) {
		s.shortages.Add(1)
	}
	short := errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) ||
		errors.Is(err, syscall.ENOBUFS)
	return short && s.admission.shed(shedAtOnce, except) > 0
}

// Shortages returns how many connections and sign-ins have found no descriptor, port or memory left for them, so far.
func (s *Server) Shortages() uint64 { return s.shortages.Load() }

// takesKept says whether a new connection may keep a descriptor that is kept back. It may if another connection before
// sign-in ends, which frees that one's descriptor.
func (s *Server) takesKept() bool {
	s.shortages.Add(1)
	return s.admission.shed(1, nil) > 0
}

// acceptFailed counts and logs a failure, and returns how long to pause: longer each time, until a connection is
// accepted or has made room.
func (s *Server) acceptFailed(listener *listener, err error) time.Duration {
	if s.shedIfShort(err, nil) {
		listener.failures.Store(0)
	}
	pause := min(acceptPauseMin<<min(listener.failures.Add(1)-1, 10), acceptPauseMax)
	s.metrics.acceptErrors.WithLabelValues(listener.Name).Inc()
	s.refusalLog.Error().Err(err).Str("listener", listener.Name).Stringer("pause", pause).Msg("accept failed")
	return pause
}

// listener is a listener's options with its counters.
type listener struct {
	Listener
	results  *results
	failures atomic.Int32 // to accept, in a row
}

// admit starts a session on a new connection, or refuses it. It does not block.
func (s *Server) admit(conn setup.Conn, listener *listener) {
	set := s.settings.Load()
	remote := conn.RemotePort()
	if s.away.Load() && plainAddr(remote).Addr() != plainAddr(conn.LocalPort()).Addr() {
		s.refuse(conn, listener, remote, OutcomeOutOfService)
		return
	}
	if conn.Kept() && !s.takesKept() {
		s.refuse(conn, listener, remote, OutcomeNoDescriptors)
		return
	}
	limits := set.Limits
	if set.Trusts(remote.Addr()) {
		// many clients come from there; their own addresses count
		limits.ConnectionsPerAddress, limits.UnauthenticatedPerAddress = 0, 0
	}
	ticket, err := s.admission.enter(remote.Addr(), limits)
	if err != nil {
		s.refuse(conn, listener, remote, outcomeOf(err))
		return
	}
	s.setup.Add(1)
	conn.Start(func(turn setup.Turn) {
		defer s.setup.Done()
		(&session{server: s, set: set, turn: turn, arrival: arrival{listener: listener, ticket: ticket}}).run(conn)
	})
}

// refuse ends a connection for which there is no room. A new socket has room for one line, so the write does not wait.
// A TLS client gets no line, because that would need a handshake.
func (s *Server) refuse(conn setup.Conn, listener *listener, remote netip.AddrPort, o Outcome) {
	listener.results.count(o)
	s.signins.count(o, "", "", listener.Name)
	row := o.row()
	event, _ := s.warned.event(s.refusalLog, o, s.opt.Now())
	event.Str("listener", listener.Name).Stringer("remote", remote).Msg(row.log)
	if listener.TLS != TLSImplicit {
		conn.TryWrite(appendAnswer(nil, row.reply, "", row.code, row.text))
	}
	conn.Close()
}

// enlist adds a listener to those that Shutdown closes, and its accept loop to the goroutines that it waits for. It
// returns nil if the server is closed.
func (s *Server) enlist(ln net.Listener) *activeListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drain.Err() != nil {
		return nil
	}
	active := &activeListener{Listener: ln, ended: make(chan struct{})}
	active.stop, active.end = context.WithCancel(s.drain)
	s.listeners = append(s.listeners, active)
	s.setup.Add(1)
	return active
}

// StopServing ends one call of Serve, and returns when its listener is closed. Sessions from that listener continue. It
// does nothing if ln is not served.
func (s *Server) StopServing(ln net.Listener) {
	s.mu.Lock()
	i := slices.IndexFunc(s.listeners, func(l *activeListener) bool { return l.Listener == ln })
	if i < 0 {
		s.mu.Unlock()
		return
	}
	active := s.listeners[i]
	s.listeners = slices.Delete(s.listeners, i, i+1)
	s.mu.Unlock()
	active.end()
	active.Close()
	<-active.ended
}

// stopListening closes the listeners and tells all sessions in set-up to end.
func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel(OutcomeDraining)
	s.inSetUp.drain()
	for _, active := range s.listeners {
		active.end()
		active.Close()
	}
	s.listeners = nil
}
