package bench

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest"
)

// liar is a proxy before an honest server, in memory and on the clock of the test. It passes on what clients say, and
// does with the answers what its script says.
type liar struct {
	refuse func(conn int) bool // whether the connection is refused; they count from 1
	answer func(a *answer)     // nil passes everything on

	server net.Listener
	mu     sync.Mutex
	dialed int
	began  time.Time
	work   sync.WaitGroup
}

// answer is a line of the server's, or a literal, on its way to the client.
type answer struct {
	conn    int           // which connection it is on
	at      time.Duration // since the first connection
	tagged  int           // how many tagged lines there were on the connection, with this one
	text    string        // with its CR LF
	literal bool
	close   func()
	mute    *bool // the connection says nothing any more
	client  io.Writer
	heard   *heard
}

// heard keeps the last command of a client.
type heard struct {
	mu   sync.Mutex
	line string
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(b) > 1 && b[0] == tagPrefix && b[1] >= '0' && b[1] <= '9' {
		h.line = strings.TrimSpace(string(b))
	}
	return len(b), nil
}

// to reports whether the answer follows a command with the verb.
func (a *answer) to(verb string) bool { return strings.Contains(a.heardLine(), " "+verb) }

// heardLine returns the client's last line.
func (a *answer) heardLine() string {
	a.heard.mu.Lock()
	defer a.heard.mu.Unlock()
	return a.heard.line
}

// tagOf returns the tag of the client's last command.
func (a *answer) tagOf() string { tag, _, _ := strings.Cut(a.heardLine(), " "); return tag }

func (a *answer) pass()                  { a.say(a.text) }
func (a *answer) say(text string)        { io.WriteString(a.client, text) }
func (a *answer) isTagged() bool         { return !a.literal && a.text[0] == tagPrefix }
func (a *answer) hasTag() string         { tag, _, _ := strings.Cut(a.text, " "); return tag }
func (a *answer) isOf(n int) bool        { return a.isTagged() && a.tagged == n }
func (a *answer) contains(s string) bool { return strings.Contains(a.text, s) }

func (l *liar) dial(ctx context.Context, _ netip.Addr, _ *Target) (net.Conn, error) {
	conn, began := l.count()
	if l.refuse != nil && l.refuse(conn) {
		return nil, errors.New("connection refused")
	}
	client, ours := net.Pipe()
	theirs, err := l.server.(*memoryListener).dial()
	if err != nil {
		return nil, err
	}
	said := &heard{}
	hangUp := func() { ours.Close(); theirs.Close() }
	l.work.Go(func() {
		io.Copy(theirs, io.TeeReader(ours, said))
		hangUp()
	})
	answers := make(chan *answer, 1<<16) // the server is never kept
	l.work.Go(func() {
		defer close(answers)
		l.read(bufio.NewReader(theirs), &answer{conn: conn, close: hangUp, mute: new(bool), client: ours,
			heard: said}, answers)
	})
	l.work.Go(func() {
		for a := range answers {
			a.at = time.Since(began)
			switch {
			case *a.mute:
			case l.answer == nil:
				a.pass()
			default:
				l.answer(a)
			}
		}
		hangUp()
	})
	return client, nil
}

// count counts a connection, and returns its number and when the first one was made.
func (l *liar) count() (conn int, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dialed++; l.dialed == 1 {
		l.began = time.Now()
	}
	return l.dialed, l.began
}

// read cuts what the server says into lines and literals.
func (l *liar) read(from *bufio.Reader, model *answer, to chan<- *answer) {
	tagged := 0
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return
		}
		if line[0] == tagPrefix {
			tagged++
		}
		send := func(text string, literal bool) {
			a := *model
			a.text, a.tagged, a.literal = text, tagged, literal
			to <- &a
		}
		send(line, false)
		if size, found := announced([]byte(strings.TrimSuffix(line, "\r\n"))); found {
			body := make([]byte, size)
			if _, err := io.ReadFull(from, body); err != nil {
				return
			}
			send(string(body), true)
		}
	}
}

// memoryListener hands out connections in memory.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *memoryListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// runLied runs for ten seconds of the test's clock against the liar: one session, ten operations a second, unless
// change says otherwise.
func runLied(t *testing.T, l *liar, change func(*Options)) (report *Report) {
	withLiar(t, l, change, func(t *testing.T, o Options) { report = mustRun(t, o) })
	return report
}

// withLiar has something done against the liar, on the test's clock.
func withLiar(t *testing.T, l *liar, change func(*Options), do func(*testing.T, Options)) {
	synctest.Test(t, func(t *testing.T) {
		users := someUsers(1)
		honest, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: serverUsers(users)})
		if err != nil {
			t.Fatal(err)
		}
		listener := newMemoryListener()
		l.server = listener
		served := make(chan struct{})
		go func() {
			defer close(served)
			honest.Serve(listener)
		}()
		o := Options{
			Targets: []Target{{Name: "liar"}}, Users: users, Profile: builtInProfile(t, "noop"), Dial: l.dial,
			Sessions: 1, Rate: 10, Duration: 10 * time.Second,
		}
		if change != nil {
			change(&o)
		}
		do(t, o)
		time.Sleep(10 * time.Minute) // whatever the liar still waits for
		listener.Close()
		honest.Close()
		l.work.Wait()
		<-served
	})
}
