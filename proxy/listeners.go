package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Pauses of an accept loop that keeps failing, as when descriptors are short.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Serve accepts connections from ln until Shutdown or Close, and then returns nil. It owns ln. One server may serve many
// listeners, each by a call of its own.
func (s *Server) Serve(ln net.Listener, l Listener) error {
	defer ln.Close()
	if l.TLS != TLSNone && s.settings.Load().TLS == nil {
		return fmt.Errorf("listener %s: TLS without a certificate", l.Name)
	}
	if !s.enlist(ln) {
		return nil
	}
	defer s.setup.Done()
	door := &door{Listener: l, results: s.metrics.connections(l.Name)}
	pause := acceptPauseMin
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = acceptPauseMin
			s.admit(conn, door)
		case s.drain.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %s: %w", l.Name, err)
		default:
			s.metrics.acceptErrors.WithLabelValues(l.Name).Inc()
			s.opt.Log.Error().Err(err).Str("listener", l.Name).Dur("pause", pause).Msg("accept failed")
			if s.opt.Sleep(s.drain, pause) != nil {
				return nil
			}
			pause = min(2*pause, acceptPauseMax)
		}
	}
}

// door is a listener with its counters.
type door struct {
	Listener
	results *results
}

// admit starts a session on a new connection, or refuses it. It does not block.
func (s *Server) admit(conn net.Conn, door *door) {
	set := s.settings.Load()
	remote := addrPort(conn.RemoteAddr())
	ticket, err := s.gate.enter(remote.Addr(), set.Limits)
	if err != nil {
		s.refuse(conn, door, remote, outcomeOf(err))
		return
	}
	s.setup.Go(func() { newSession(s, set, door, conn, ticket).run() })
}

// refuse ends a connection that there is no room for. A new socket has room for one line, so the write does not wait; TLS is
// not worth a handshake.
func (s *Server) refuse(conn net.Conn, door *door, remote netip.AddrPort, o Outcome) {
	door.results.count(o)
	row := o.row()
	s.doorLog.WithLevel(row.level).Str("listener", door.Name).Stringer("remote", remote).Msg(row.log)
	if door.TLS != TLSImplicit {
		conn.SetWriteDeadline(s.opt.Now().Add(acceptPauseMin))
		conn.Write(appendAnswer(nil, row.reply, "", row.code, row.text))
	}
	conn.Close()
}

// addrPort returns a TCP address, and for any other kind the zero value.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// enlist notes a listener for Shutdown, and its accept loop among the goroutines waited for. It answers false when the server
// is already closed.
func (s *Server) enlist(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drain.Err() != nil {
		return false
	}
	s.listeners = append(s.listeners, ln)
	s.setup.Add(1)
	return true
}

// stopListening closes the listeners and tells all sessions in set-up to end.
func (s *Server) stopListening(cancel context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cancel(OutcomeDraining)
	for _, ln := range s.listeners {
		ln.Close()
	}
	s.listeners = nil
}
