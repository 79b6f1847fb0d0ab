package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// A loop relies on what crypto/tls does and does not promise: after an error that calls itself temporary, a *tls.Conn
// goes on where it stopped, in the middle of a record too. So the relay tries that before it starts loops.

// rehearsalTime bounds a handshake with ourselves. It takes a millisecond.
const rehearsalTime = 10 * time.Second

// checkTLS shakes hands with itself in each version of TLS and says what does not work when reads find nothing, which
// they say by the error blocked.
func checkTLS(blocked error) error {
	config, err := rehearsalConfig()
	if err != nil {
		return fmt.Errorf("crypto/tls: %w", err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config.MinVersion, config.MaxVersion = version, version
		if err := rehearse(config, blocked); err != nil {
			return fmt.Errorf("crypto/tls does not work without blocking, %s: %w", tls.VersionName(version), err)
		}
	}
	return nil
}

// rehearsalConfig is for both sides. Its certificate lives as long as the rehearsal.
func rehearsalConfig() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	const name = "rehearsal.invalid"
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      roots, ServerName: name, SessionTicketsDisabled: true,
	}, nil
}

// actor is one side of a rehearsal.
type actor struct {
	tls     *tls.Conn
	stage   *stage
	records []byte // to be lent to tls; nil while tls keeps it
}

// stage is a connection in memory. Like Conn it has two lives: the handshake waits for the other side, and then reads
// take what is there.
type stage struct {
	net.Conn
	second  bool
	in, out []byte
	blocked error
}

func (s *stage) Read(p []byte) (int, error) {
	switch {
	case !s.second:
		return s.Conn.Read(p)
	case len(s.in) == 0:
		return 0, s.blocked
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *stage) Write(p []byte) (int, error) {
	if !s.second {
		return s.Conn.Write(p)
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

func newActor(conn net.Conn, blocked error) *actor {
	return &actor{stage: &stage{Conn: conn, blocked: blocked}, records: make([]byte, 0, lentSize)}
}

// rehearse shakes hands and sends what sessions send, with reads that find parts of records or nothing.
func rehearse(config *tls.Config, blocked error) error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	near.SetDeadline(time.Now().Add(rehearsalTime))
	far.SetDeadline(time.Now().Add(rehearsalTime))
	client, server := newActor(near, blocked), newActor(far, blocked)
	client.tls, server.tls = tls.Client(client.stage, config), tls.Server(server.stage, config)
	served := make(chan error, 1)
	go func() { served <- server.tls.Handshake() }()
	if err := errors.Join(client.tls.Handshake(), <-served); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	client.stage.second, server.stage.second = true, true
	for range 2 { // the second time after temporary errors
		if err := errors.Join(client.drips(server), server.drips(client)); err != nil {
			return err
		}
	}
	if err := errors.Join(client.gathers(server), server.gathers(client)); err != nil {
		return err
	}
	return client.leaves(server)
}

// says returns the records of some texts.
func (a *actor) says(texts ...string) ([]byte, error) {
	for _, text := range texts {
		if n, err := a.tls.Write([]byte(text)); n != len(text) || err != nil {
			return nil, fmt.Errorf("write: %d bytes of %d taken: %v", n, len(text), err)
		}
	}
	records := a.stage.out
	a.stage.out = nil
	return records, nil
}

// hears checks that the next read returns text, or with "" that it finds nothing. It reads as a loop does, with a lent
// buffer.
func (a *actor) hears(text string) error {
	if inTLS.lend(a.tls, a.records) {
		a.records = nil
	}
	var p [64]byte
	n, err := a.tls.Read(p[:])
	if buf := inTLS.takeBack(a.tls); buf != nil {
		a.records = buf
	}
	blocked := errors.Is(err, a.stage.blocked)
	if got := string(p[:n]); got != text || text == "" && !blocked || text != "" && err != nil {
		return fmt.Errorf("read: got %q, %v; want %q", got, err, text)
	}
	return nil
}

// drips sends a record byte by byte.
func (a *actor) drips(to *actor) error {
	record, err := a.says("a NOOP\r\n")
	if err != nil {
		return err
	}
	for i := range record {
		if err := to.hears(""); err != nil {
			return fmt.Errorf("%d bytes of a record: %w", i, err)
		}
		to.stage.in = append(to.stage.in, record[i])
	}
	return errors.Join(to.hears("a NOOP\r\n"), to.hears(""))
}

// gathers sends three records, of which the last one is cut.
func (a *actor) gathers(to *actor) error {
	records, err := a.says("one", "two", "three")
	if err != nil {
		return err
	}
	last := len(records) - 1
	to.stage.in = append(to.stage.in, records[:last]...)
	err = errors.Join(to.hears("one"), to.hears("two"), to.hears(""))
	to.stage.in = append(to.stage.in, records[last])
	return errors.Join(err, to.hears("three"), to.hears(""))
}

// leaves says close_notify.
func (a *actor) leaves(to *actor) error {
	if err := a.tls.CloseWrite(); err != nil {
		return fmt.Errorf("close_notify: %w", err)
	}
	to.stage.in = append(to.stage.in, a.stage.out...)
	if _, err := to.tls.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("close_notify: the other side reads %v", err)
	}
	return nil
}
