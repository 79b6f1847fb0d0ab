package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"portico/backend"
)

// Whatever a client does to TLS after the handshake is its own doing, and no error of ours.
func TestAClientThatBreaksTLSIsNoErrorOfOurs(t *testing.T) {
	record := func(kind byte, length uint16, body string) string {
		return string([]byte{kind, 3, 3, byte(length >> 8), byte(length)}) + body
	}
	for name, sends := range map[string]string{
		"a corrupted record":     record(23, 32, strings.Repeat("x", 32)),
		"a record too short":     record(23, 1, "x"),
		"an oversized record":    record(23, 65535, "x"),
		"plain text":             "a NOOP\r\n",
		"an alert in plain text": record(21, 2, "\x02\x28"),
		"many ignored records":   strings.Repeat(record(20, 1, "\x01"), 40),
		"an unknown record":      record(99, 1, "x"),
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+"/"+tls.VersionName(version), func(t *testing.T) {
				h := start(t, TLSImplicit, nil)
				plain := h.dial()
				config := h.roots.Clone()
				config.MaxVersion = version
				secure := newPeer(t, tls.Client(plain.Conn, config))
				secure.expect("* OK ")
				plain.send(sends)
				io.Copy(io.Discard, plain.Conn)
				waitUntil(t, func() bool { return h.ended(OutcomeTLSBroken) == 1 })
				for _, wrong := range []string{`"level":"error"`, `"level":"warn"`} {
					if log := fmt.Sprint(h.log); strings.Contains(log, wrong) {
						t.Errorf("the log says %s", log)
					}
				}
			})
		}
	}
}

// An alert of the client is its doing too: here the client got a record that somebody has changed.
func TestAnAlertOfAClientIsNoErrorOfOurs(t *testing.T) {
	h := start(t, TLSImplicit, nil)
	corrupt := &corrupting{Conn: h.dial().Conn}
	secure := newPeer(t, tls.Client(corrupt, h.roots))
	secure.expect("* OK ")
	corrupt.on = true
	secure.send("a NOOP\r\n")
	if _, err := secure.Read(make([]byte, 1)); err == nil {
		t.Fatal("the client takes a changed record")
	}
	waitUntil(t, func() bool { return h.ended(OutcomeTLSBroken) == 1 })
}

// corrupting changes what is read, while it is on.
type corrupting struct {
	net.Conn
	on bool
}

func (c *corrupting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.on && n > 0 {
		p[n-1] ^= 1
	}
	return n, err
}

// Each kind of error that reading from and writing to a client may give, over TLS and without.
func TestOutcomeOfAClientsErrors(t *testing.T) {
	for _, test := range []struct {
		err            error
		plain, overTLS Outcome
	}{
		{io.EOF, OutcomeClientGone, OutcomeClientGone},
		{syscall.ECONNRESET, OutcomeClientGone, OutcomeClientGone},
		{syscall.ECONNREFUSED, OutcomeClientGone, OutcomeClientGone}, // by ICMP
		{&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPROTO)}, OutcomeClientGone,
			OutcomeClientGone},
		{os.ErrDeadlineExceeded, OutcomeTimeout, OutcomeTimeout},
		{context.Canceled, OutcomeDraining, OutcomeDraining},
		{syscall.ENOMEM, OutcomeInternal, OutcomeInternal}, // ours
		{tls.AlertError(20), OutcomeClientGone, OutcomeTLSBroken},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, OutcomeClientGone, OutcomeTLSBroken},
		{&net.OpError{Op: "local error", Err: tls.AlertError(10)}, OutcomeClientGone, OutcomeTLSBroken},
		{tls.RecordHeaderError{Msg: "oversized"}, OutcomeClientGone, OutcomeTLSBroken},
		// a flood of key updates
		{errors.New("tls: too many non-advancing records"), OutcomeClientGone, OutcomeTLSBroken},
		{errors.New("tls: received unexpected key update message"), OutcomeClientGone, OutcomeTLSBroken},
	} {
		for over, want := range map[*tls.Conn]Outcome{nil: test.plain, new(tls.Conn): test.overTLS} {
			err := (&client{tls: over}).ioError(test.err)
			if got := outcomeOf(fmt.Errorf("sign-in: %w", err)); got != want {
				t.Errorf("%v, over TLS %v: %v, want %v", test.err, over != nil, got, want)
			}
			if got := outcomeOf(&backend.Error{Kind: backend.KindClient, Err: err}); got != want {
				t.Errorf("%v in an exchange, over TLS %v: %v, want %v", test.err, over != nil, got, want)
			}
		}
	}
	if err := (&client{}).ioError(nil); err != nil {
		t.Error(err)
	}
}
