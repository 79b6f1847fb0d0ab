package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// handshake puts TLS on the client's connection. What was read before in plain text is dropped.
func (s *session) handshake() error {
	began := s.server.opt.Now()
	s.client.commands.Reset(s.client)
	s.client.tls = tls.Server(s.client.conn, s.set.TLS) // from here on nothing leaves in plain text, should this fail
	err := s.client.allow(s.set.Timeouts.Handshake)
	if err == nil {
		err = s.client.tls.Handshake()
	}
	if err != nil {
		return s.handshakeError(err)
	}
	s.dialogue.readAt = s.server.opt.Now() // most of it was the client's time
	s.server.metrics.phases.observe(phaseTLS, s.dialogue.readAt.Sub(began))
	return nil
}

// handshakeError tells a client that is silent, gone or lost on the wrong port from one whose TLS does not fit ours.
func (s *session) handshakeError(err error) error {
	var header tls.RecordHeaderError
	switch outcome := outcomeOf(err); {
	case errors.As(err, &header) && header.Conn != nil && s.arrival.listener.TLS == TLSImplicit:
		s.client.tls = nil
		return fmt.Errorf("%w: %w", OutcomePlainOnTLS, err)
	case outcome != OutcomeInternal:
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return fmt.Errorf("%w: %w", OutcomeTLSHandshake, err)
}

// startTLS is the command (RFC 9051 section 6.2.1).
func (s *session) startTLS() error {
	if !s.offersStartTLS() {
		return OutcomeNoStartTLS
	}
	s.client.say(s.dialogue.tag + " OK Begin TLS now.")
	if err := s.client.flush(); err != nil {
		return err
	}
	s.dialogue.tag = ""
	return s.handshake()
}

// recordHandshake is the first byte of a TLS connection, and of no IMAP command (RFC 8446 section 5.1).
const recordHandshake = 0x16

// checkPlain looks at the client's first byte on a port that begins in plain text.
func (s *session) checkPlain() error {
	first, err := s.client.commands.Peek()
	if err != nil {
		return err
	}
	if first == recordHandshake {
		return OutcomeTLSOnPlain
	}
	return nil
}
