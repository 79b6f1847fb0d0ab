package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// signIn makes a connection and signs the session's user in. The total latency counts from the given time, or from
// now.
func (s *session) signIn(ctx context.Context, from time.Time) (*clientConn, error) {
	if from.IsZero() {
		from = time.Now()
	}
	c, err := s.connect(ctx, from)
	if err == nil {
		err = s.authenticate(c)
	}
	if err == nil {
		err = s.extend(c)
	}
	if c != nil {
		c.settle()
	}
	s.shard.ended(rowSignIn, from, outcomeOf(err))
	if err != nil {
		if c != nil {
			s.drop(c)
		}
		return nil, err
	}
	return c, nil
}

// connect makes a connection that is ready for sign-in.
func (s *session) connect(ctx context.Context, from time.Time) (*clientConn, error) {
	o := &s.engine.options
	dialCtx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	begun := time.Now()
	conn, err := o.Dial(dialCtx, s.source, s.target)
	if err != nil {
		err := s.setUpFailure(KindConnect, rowConnect, begun, err)
		s.shard.ended(rowConnect, from, outcomeOf(err))
		return nil, err
	}
	c := &clientConn{shard: s.shard, credential: s.credential(), timeout: o.Timeout, tags: s.tags,
		strict: s.strict(), wrong: s.wrong, cut: s.engine.isCut}
	c.setConn(conn)
	s.adopt(c)
	if s.engine.isCut() { // it came too late for the engine
		return c, c.giveUp(unfinished(rowConnect, time.Since(begun)))
	}
	if o.TLS == TLSImplicit {
		if err := s.handshake(ctx, c, from); err != nil {
			return c, err
		}
		from = time.Now()
	}
	err = c.greeting()
	s.shard.ended(rowConnect, from, outcomeOf(err))
	if err != nil || o.TLS != TLSStartTLS {
		return c, err
	}
	if err := c.command(rowStartTLS, "", time.Time{}, nil); err != nil {
		return c, c.giveUp(err)
	}
	c.caps = capabilities{} // what came before TLS does not count
	return c, s.handshake(ctx, c, time.Now())
}

// handshake starts TLS.
func (s *session) handshake(ctx context.Context, c *clientConn, from time.Time) error {
	o := &s.engine.options
	config := o.TLSConfig.Clone()
	if s.user.Certificate != nil {
		config.Certificates = []tls.Certificate{*s.user.Certificate}
	}
	config.ServerName = cmp.Or(config.ServerName, s.target.Host)
	conn := tls.Client(c.conn, config)
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	begun := time.Now()
	c.conn.SetDeadline(begun.Add(o.Timeout))
	if err := conn.HandshakeContext(ctx); err != nil {
		err = c.giveUp(s.setUpFailure(KindTLS, rowTLS, begun, err))
		s.shard.ended(rowTLS, from, outcomeOf(err))
		return err
	}
	s.shard.ended(rowTLS, from, outcomeDone)
	s.mu.Lock()
	left := c.setConn(conn)
	s.mu.Unlock()
	if left > 0 {
		return c.giveUp(failed(KindTLS, rowTLS, "%d bytes in the clear before the handshake", left))
	}
	return nil
}

// setUpFailure returns the failure of a set-up step. The end of the run and time-outs have their own kinds.
func (s *session) setUpFailure(kind Kind, r row, begun time.Time, err error) *failure {
	var netErr net.Error
	switch {
	case s.engine.isCut():
		return unfinished(r, time.Since(begun))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		kind = KindTimeout
	}
	return &failure{kind, r, err}
}

// greeting reads the server's greeting.
func (c *clientConn) greeting() error {
	c.deadline = time.Now().Add(c.timeout)
	c.conn.SetDeadline(c.deadline)
	resp, err := c.in.read()
	c.shard.moved(c.in.total, 0)
	c.counted = c.in.total
	if err != nil {
		return c.giveUp(broken(rowConnect, err))
	}
	if resp.kind != untagged || resp.status != statusOK {
		return c.giveUp(failed(KindGreeting, rowConnect, "%s",
			shown(string(resp.name)+" "+string(resp.args), c.credential)))
	}
	c.caps.read(resp)
	return nil
}

// quoted returns a quoted string, or "" if the text cannot be one.
func quoted(text string) string {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return ""
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// read reads a capability list from any response. A new list replaces the previous one.
func (caps *capabilities) read(resp *response) {
	list, ok := resp.codeIs("CAPABILITY")
	if !ok && resp.is("CAPABILITY") {
		list, ok = resp.args, true
	}
	if !ok {
		return
	}
	*caps = capabilities{known: true}
	for word := range bytes.FieldsSeq(list) {
		switch string(bytes.ToUpper(word)) {
		case "LITERAL+":
			caps.literalPlus = true
		case "UIDPLUS":
			caps.uidPlus = true
		case "SASL-IR":
			caps.saslIR = true
		case "ID":
			caps.id = true
		case "COMPRESS=DEFLATE":
			caps.deflate = true
		}
	}
}

// learn asks for the capabilities, unless the server has sent them since sign-in.
func (c *clientConn) learn() error {
	if c.caps.known {
		return nil
	}
	return c.command(rowCapability, "", time.Time{}, c.caps.read)
}

// dialer connects to a target from a source address.
func dialer(ctx context.Context, source netip.Addr, target *Target) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	if source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice(), Zone: source.Zone()}
		d.Control = bindWithoutPort
	}
	var errs []error
	for _, addr := range target.Addrs {
		if source.IsValid() && source.Is4() != addr.Addr().Is4() {
			continue
		}
		conn, err := d.DialContext(ctx, "tcp", addr.String())
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, fmt.Errorf("%s has no address of the family of the source %s", target.Name, source)
	}
	return nil, errors.Join(errs...)
}
