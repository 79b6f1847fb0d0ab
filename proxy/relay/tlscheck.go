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

// A loop relies on a behaviour of crypto/tls that is not documented: after an error that calls itself temporary, a
// *tls.Conn continues where it stopped, also in the middle of a record. So the relay tests that before it starts loops.

// checkTimeout bounds the check of one TLS version. It takes about a millisecond.
const checkTimeout = 10 * time.Second

// checkTLS does a handshake with itself in each version of TLS. It returns an error that says what does not work if
// reads find no bytes. blocked is the error of such reads.
func checkTLS(blocked error) error {
	config, err := checkConfig()
	if err != nil {
		return fmt.Errorf("crypto/tls: %w", err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config.MinVersion, config.MaxVersion = version, version
		if err := checkVersion(config, blocked); err != nil {
			return fmt.Errorf("crypto/tls does not work without blocking, %s: %w", tls.VersionName(version), err)
		}
	}
	return nil
}

// checkConfig returns the configuration of both sides, with a certificate for the check alone.
func checkConfig() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	const name = "check.invalid"
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

// tlsPeer is one side of the check.
type tlsPeer struct {
	tls     *tls.Conn
	conn    *memoryConn
	records []byte // lent to tls for a read; nil while tls keeps it
}

// memoryConn is a connection in memory. Like Conn it has two phases: in the first, for the handshake, reads wait for
// the other side. In the second, reads return the bytes that are there.
type memoryConn struct {
	net.Conn
	nonBlocking bool
	in, out     []byte
	blocked     error
}

func (s *memoryConn) Read(p []byte) (int, error) {
	switch {
	case !s.nonBlocking:
		return s.Conn.Read(p)
	case len(s.in) == 0:
		return 0, s.blocked
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *memoryConn) Write(p []byte) (int, error) {
	if !s.nonBlocking {
		return s.Conn.Write(p)
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

func newTLSPeer(conn net.Conn, blocked error) *tlsPeer {
	return &tlsPeer{conn: &memoryConn{Conn: conn, blocked: blocked}, records: make([]byte, 0, lentSize)}
}

// checkVersion does a handshake and sends records as sessions do, with reads that find parts of records or nothing.
func checkVersion(config *tls.Config, blocked error) error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	near.SetDeadline(time.Now().Add(checkTimeout))
	far.SetDeadline(time.Now().Add(checkTimeout))
	client, server := newTLSPeer(near, blocked), newTLSPeer(far, blocked)
	client.tls, server.tls = tls.Client(client.conn, config), tls.Server(server.conn, config)
	served := make(chan error, 1)
	go func() { served <- server.tls.Handshake() }()
	if err := errors.Join(client.tls.Handshake(), <-served); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	client.conn.nonBlocking, server.conn.nonBlocking = true, true
	for range 2 { // the second round runs after temporary errors
		if err := errors.Join(client.sendByteByByte(server), server.sendByteByByte(client)); err != nil {
			return err
		}
	}
	if err := errors.Join(client.sendCutRecord(server), server.sendCutRecord(client)); err != nil {
		return err
	}
	return client.sendCloseNotify(server)
}

// write writes texts, and returns their records.
func (a *tlsPeer) write(texts ...string) ([]byte, error) {
	for _, text := range texts {
		if n, err := a.tls.Write([]byte(text)); n != len(text) || err != nil {
			return nil, fmt.Errorf("write: %d bytes of %d taken: %v", n, len(text), err)
		}
	}
	records := a.conn.out
	a.conn.out = nil
	return records, nil
}

// expectRead checks that the next read returns text, or that it finds no bytes if text is "". It reads as a loop does,
// with a lent buffer.
func (a *tlsPeer) expectRead(text string) error {
	if inTLS.lend(a.tls, a.records) {
		a.records = nil
	}
	var p [64]byte
	n, err := a.tls.Read(p[:])
	if buf := inTLS.takeBack(a.tls); buf != nil {
		a.records = buf
	}
	blocked := errors.Is(err, a.conn.blocked)
	if got := string(p[:n]); got != text || text == "" && !blocked || text != "" && err != nil {
		return fmt.Errorf("read: got %q, %v; want %q", got, err, text)
	}
	return nil
}

// sendByteByByte sends a record byte by byte.
func (a *tlsPeer) sendByteByByte(to *tlsPeer) error {
	record, err := a.write("a NOOP\r\n")
	if err != nil {
		return err
	}
	for i := range record {
		if err := to.expectRead(""); err != nil {
			return fmt.Errorf("%d bytes of a record: %w", i, err)
		}
		to.conn.in = append(to.conn.in, record[i])
	}
	return errors.Join(to.expectRead("a NOOP\r\n"), to.expectRead(""))
}

// sendCutRecord sends three records. The last byte of the third comes later.
func (a *tlsPeer) sendCutRecord(to *tlsPeer) error {
	records, err := a.write("one", "two", "three")
	if err != nil {
		return err
	}
	last := len(records) - 1
	to.conn.in = append(to.conn.in, records[:last]...)
	err = errors.Join(to.expectRead("one"), to.expectRead("two"), to.expectRead(""))
	to.conn.in = append(to.conn.in, records[last])
	return errors.Join(err, to.expectRead("three"), to.expectRead(""))
}

// sendCloseNotify sends close_notify, and checks that the other side reads the end.
func (a *tlsPeer) sendCloseNotify(to *tlsPeer) error {
	if err := a.tls.CloseWrite(); err != nil {
		return fmt.Errorf("close_notify: %w", err)
	}
	to.conn.in = append(to.conn.in, a.conn.out...)
	if _, err := to.tls.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("close_notify: the other side reads %v", err)
	}
	return nil
}
