package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

// Strangers do all at once what they can, at the default settings, and a user who signs in once a second is let in every time. How long that
// takes is reported; it fails no test, as the strangers, the server and the race detector share the machine.
func TestAttack(t *testing.T) {
	const signIns = 8
	testkit.Need(t, "dovecot")
	server := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: []backendtest.User{{Name: "ada", Password: password}}, Mechanisms: []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"},
	})
	testkit.NoLeaks(t)
	const user = "ada"
	f := front(t, options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Plain}}}, settings: proxy.Settings{
		Limits:    proxy.Limits{Unauthenticated: 10_000, UnauthenticatedPerAddress: 1000, ConnectionsPerUser: 16},
		Penalties: proxy.PenaltyOptions{First: 2 * time.Second},
	}})
	survey(t, f)
	silent := "a AUTHENTICATE SCRAM-SHA-256 " + base64.StdEncoding.EncodeToString([]byte("n,,n="+user+",r=abc")) + "\r\n"
	exchange := f.dial(ways[0])
	exchange.Send(strings.TrimSuffix(silent, "\r\n"))
	exchange.Expect("+ *") // so the strangers' exchanges reach the server
	exchange.Close()
	ctx, stop := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	defer strangers.Wait()
	defer stop()
	attack := func(n int, do func(i int)) {
		for i := range n {
			strangers.Go(func() {
				for ctx.Err() == nil {
					do(i)
					pauseFor(ctx, 10*time.Millisecond)
				}
			})
		}
	}
	attack(24, func(int) { strangerSays(ctx, f.plain, "127.0.0.3", "a LOGIN "+user+" wrong\r\n", 200*time.Millisecond) })
	attack(16, func(int) {
		strangerSays(ctx, f.plain, "127.0.0.4", silent, time.Minute)
	})
	attack(4, func(i int) {
		for c := range 256 {
			strangerSays(ctx, f.plain, "127.0.0.5", fmt.Sprintf("t%s LOGIN nobody%d wrong\r\n", []byte{byte(c)}, c%16), 20*time.Millisecond)
		}
	})
	attack(400, func(int) { shakeHands(ctx, f.tls, "127.0.0.6", f.trust) })
	attack(idleStrangers(t), func(i int) { strangerSays(ctx, f.plain, fmt.Sprint("127.0.1.", 1+i/500), "", time.Minute) })

	var longest time.Duration
	for range signIns {
		began := time.Now()
		if err := goodSignIn(f.plain, user); err != nil {
			t.Errorf("a good user after %v: %v", time.Since(began), err)
		}
		longest = max(longest, time.Since(began))
		pauseFor(ctx, time.Second-time.Since(began))
	}
	t.Logf("the slowest of %d sign-ins took %v", signIns, longest.Round(time.Millisecond))
}

// idleStrangers is 10,000, or what the descriptors of this process are enough for: each takes two.
func idleStrangers(t *testing.T) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return min(10_000, max(int(limit.Cur)-4000, 1000)/2)
}

func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connectFrom connects from a loopback address.
func connectFrom(ctx context.Context, address, source string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: testkit.Patience}
	return d.DialContext(ctx, "tcp", address)
}

// strangerSays says something and stays for a time, or until it is sent away.
func strangerSays(ctx context.Context, address, source, say string, stay time.Duration) {
	conn, err := connectFrom(ctx, address, source)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	conn.SetDeadline(time.Now().Add(stay))
	io.WriteString(conn, say)
	io.Copy(io.Discard, conn)
}

func shakeHands(ctx context.Context, address, source string, trust *tls.Config) {
	conn, err := connectFrom(ctx, address, source)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	tls.Client(conn, trust).Handshake()
	pauseFor(ctx, time.Minute)
}

// goodSignIn signs in from an address of its own, and out again.
func goodSignIn(address, user string) error {
	conn, err := connectFrom(context.Background(), address, "127.0.0.2")
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	io.WriteString(conn, "a LOGIN "+user+" "+password+"\r\nb LOGOUT\r\n")
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("%q, %w", line, err)
		case strings.HasPrefix(line, "a OK "):
			return nil
		case strings.HasPrefix(line, "a ") || strings.HasPrefix(line, "* BYE"):
			return fmt.Errorf("told %q", line)
		}
	}
}
