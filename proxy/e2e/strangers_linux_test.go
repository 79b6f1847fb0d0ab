package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// strangersTask is the environment variable that makes TestAttack nothing but strangers: a strangers as JSON. They are
// a process of their own because of the limit of descriptors, and to have a niceness and a CPU clock of their own.
const strangersTask = "PORTICO_E2E_STRANGERS"

// strangers attack two listeners of one front end. Each kind comes from addresses of its own.
type strangers struct {
	TLS, StartTLS string // addresses
	User          string // whose password they guess
	Idle          int    // clients that say nothing

	ctx  context.Context
	mu   sync.Mutex
	done tally
}

// tally is what strangers have done.
type tally struct {
	Connected  int // silent clients, each time they connect
	Handshakes int // of clients that do nothing else
	Guesses    int // wrong passwords sent
	Exchanges  int // of SCRAM, left silent behind the server's challenge
	Tags       int // sign-ins under odd tags sent
}

// Numbers of strangers that do something.
const (
	guessers    = 24
	exchangers  = 16
	oddTaggers  = 4
	handshakers = 400
	idleDialers = 20 // goroutines that hold the silent clients, two for each address
)

// attack begins when the silent clients are connected: it says so, and when each kind of strangers has done something.
// It goes on until its standard input ends, and then writes a tally.
func attack(task string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s := &strangers{ctx: ctx}
	if err := json.Unmarshal([]byte(task), s); err != nil {
		return err
	}
	var work, connected sync.WaitGroup
	connected.Add(idleDialers)
	for d := range idleDialers {
		work.Go(func() { s.beIdle(fmt.Sprint("127.0.1.", 1+d/2), s.Idle/idleDialers, connected.Done) })
	}
	connected.Wait()
	repeat := func(n int, do func()) {
		for range n {
			work.Go(func() {
				for ctx.Err() == nil {
					do()
				}
			})
		}
	}
	var tag atomic.Uint32
	repeat(guessers, func() {
		s.say("127.0.0.3", "a LOGIN "+s.User+" wrong\r\n", 200*time.Millisecond, &s.done.Guesses)
	})
	repeat(exchangers, s.leaveExchange)
	repeat(oddTaggers, func() {
		n := tag.Add(1)
		s.say("127.0.0.5", fmt.Sprintf("t%s LOGIN nobody%d wrong\r\n", []byte{byte(n)}, n%16), 20*time.Millisecond,
			&s.done.Tags)
	})
	repeat(handshakers, s.shakeHands)
	fmt.Println("attacking")
	work.Go(func() {
		for !s.acted() {
			if pauseFor(ctx, 50*time.Millisecond); ctx.Err() != nil {
				return
			}
		}
		fmt.Println("acted")
	})
	io.Copy(io.Discard, os.Stdin)
	s.mu.Lock()
	report, err := json.Marshal(s.done)
	s.mu.Unlock()
	stop()
	work.Wait()
	fmt.Println(string(report))
	return err
}

// acted says whether each kind of strangers has done something.
func (s *strangers) acted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(s.done.Connected, s.done.Handshakes, s.done.Guesses, s.done.Exchanges, s.done.Tags) > 0
}

func (s *strangers) count(n *int) {
	s.mu.Lock()
	*n++
	s.mu.Unlock()
}

// beIdle keeps n clients connected that say nothing: half in front of a TLS handshake, half in front of a command.
func (s *strangers) beIdle(source string, n int, connected func()) {
	clients := make([]net.Conn, n)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.Close()
			}
		}
	}()
	for s.ctx.Err() == nil {
		for i, c := range clients {
			if c != nil && stillThere(c) {
				continue
			}
			if c != nil {
				c.Close()
			}
			var err error // if it fails, the next round tries again
			if clients[i], err = connectFrom(s.ctx, []string{s.TLS, s.StartTLS}[i%2], source); err == nil {
				s.count(&s.done.Connected)
			}
		}
		if connected != nil {
			connected()
			connected = nil
		}
		pauseFor(s.ctx, 50*time.Millisecond)
	}
}

// stillThere drops what a connection has received, and says whether that has no end yet.
func stillThere(conn net.Conn) bool {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	var dropped [512]byte
	raw.Control(func(fd uintptr) {
		for n := 1; n > 0 && err == nil; {
			n, _, err = unix.Recvfrom(int(fd), dropped[:], unix.MSG_DONTWAIT)
		}
	})
	return err == unix.EAGAIN
}

// say waits for the greeting, says one thing, after TLS, and hangs up if the answer takes longer than a time.
func (s *strangers) say(source, line string, wait time.Duration, counted *int) {
	conn := s.secure(source)
	if conn == nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	conn.SetReadDeadline(time.Now().Add(testkit.Patience)) // a write cut off would leave a gap in the records
	in := bufio.NewReader(conn)
	if _, err := in.ReadString('\n'); err != nil {
		return
	}
	if _, err := io.WriteString(conn, line); err == nil {
		s.count(counted)
		conn.SetReadDeadline(time.Now().Add(wait))
		in.ReadString('\n')
	}
}

// leaveExchange begins a SCRAM exchange and says nothing more.
func (s *strangers) leaveExchange() {
	conn := s.secure("127.0.0.4")
	if conn == nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	fmt.Fprintf(conn, "a AUTHENTICATE SCRAM-SHA-256 %s\r\n",
		base64.StdEncoding.EncodeToString([]byte("n,,n="+s.User+",r=abc")))
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "+ ") {
			s.count(&s.done.Exchanges)
		}
	}
}

func (s *strangers) shakeHands() {
	if conn := s.secure("127.0.0.6"); conn != nil {
		s.count(&s.done.Handshakes)
		conn.Close()
	}
}

// secure connects and ends a TLS handshake; nil if that fails.
func (s *strangers) secure(source string) net.Conn {
	conn, err := connectFrom(s.ctx, s.TLS, source)
	if err != nil {
		pauseFor(s.ctx, 10*time.Millisecond)
		return nil
	}
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // whom they attack is none of their business
	if err := secured.HandshakeContext(s.ctx); err != nil {
		conn.Close()
		return nil
	}
	return secured
}

func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connectFrom connects from a loopback address. The port is chosen by connect(2): chosen before, it would be taken for
// all destinations.
func connectFrom(ctx context.Context, address, source string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: testkit.Patience}
	return d.DialContext(ctx, "tcp", address)
}
