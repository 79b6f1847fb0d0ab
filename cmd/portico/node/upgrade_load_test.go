//go:build unix

package node

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// How large the test of upgrades under load is. A busy node has 50, 5000 and 2000, a pause of 2s.
var (
	inARow     = flag.Int("upgrades", 4, "upgrades one after the other")
	openAtOnce = flag.Int("open", 20, "sessions of all kinds that stay open")
	pause      = flag.Duration("pause", 0, "time between two upgrades")
	newRate    = flag.Int("rate", 0, "new sessions a second; 0 for as many as eight clients make")
)

// longSession is a client whose session stays open while processes take one another's place.
type longSession struct {
	kind *longKind
	conn net.Conn
	in   *bufio.Reader
	sent int // bytes of its literal
}

// longKind is what such a client does: once when it has signed in, from time to time, and at last.
type longKind struct {
	name                  string
	tls                   bool
	begin, continues, end func(*longSession) error
}

// literalSize is the size of a message that is long on its way.
const literalSize = 1000

var longKinds = []longKind{
	{name: "plain", continues: noop, end: logout},
	{name: "logged", continues: noop, end: logout},
	{name: "tls", tls: true, continues: noop, end: logout},
	{name: "idle", tls: true, begin: beginIdle, continues: func(s *longSession) error {
		if err := endIdle(s); err != nil {
			return err
		}
		return beginIdle(s)
	}, end: func(s *longSession) error {
		if err := endIdle(s); err != nil {
			return err
		}
		return logout(s)
	}},
	{name: "literal", begin: func(s *longSession) error {
		return s.says(fmt.Sprintf("l APPEND INBOX {%d}\r\n", literalSize), "+ ")
	}, continues: func(s *longSession) error {
		s.sent++
		s.conn.SetDeadline(time.Now().Add(testkit.Patience))
		_, err := io.WriteString(s.conn, "x")
		return err
	}, end: func(s *longSession) error {
		if err := s.says(strings.Repeat("x", literalSize-s.sent)+"\r\n", "l OK "); err != nil {
			return err
		}
		return logout(s)
	}},
}

func noop(s *longSession) error      { return s.says("n NOOP\r\n", "n OK ") }
func beginIdle(s *longSession) error { return s.says("i IDLE\r\n", "+ ") }
func endIdle(s *longSession) error   { return s.says("DONE\r\n", "i OK ") }

func logout(s *longSession) error {
	defer s.conn.Close()
	if err := s.says("z LOGOUT\r\n", "z OK "); err != nil {
		return err
	}
	if _, err := s.in.ReadByte(); err != io.EOF {
		return fmt.Errorf("after LOGOUT: %v", err)
	}
	return nil
}

// says sends text, and reads until a line begins with an answer.
func (s *longSession) says(text, answer string) error {
	s.conn.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := io.WriteString(s.conn, text); err != nil {
		return err
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%.20q, then %q: %w", text, line, err)
		}
		if strings.HasPrefix(line, answer) {
			return nil
		}
		if tag, _, _ := strings.Cut(text, " "); strings.HasPrefix(line, tag+" ") {
			return fmt.Errorf("%.20q: %q", text, line)
		}
	}
}

// open signs a user in at one of two addresses: without TLS, or with it from the first byte.
func (k *longKind) open(user, plain, implicit string, trust *tls.Config) (*longSession, error) {
	s := &longSession{kind: k}
	var err error
	if k.tls {
		s.conn, err = tls.Dial("tcp", implicit, trust)
	} else {
		s.conn, err = net.Dial("tcp", plain)
	}
	if err != nil {
		return nil, err
	}
	s.in = bufio.NewReaderSize(s.conn, 256)
	err = s.says(fmt.Sprintf("a LOGIN %s secret\r\n", user), "a OK ")
	if err == nil && k.begin != nil {
		err = k.begin(s)
	}
	if err != nil {
		s.conn.Close()
	}
	return s, err
}

// storm makes whole sessions, one after the other: rate a second, or as many as eight clients can if rate is 0.
type storm struct {
	address string
	stop    chan struct{}
	work    sync.WaitGroup

	mu    sync.Mutex
	took  []time.Duration
	wrong []error
}

func (s *storm) begin(rate int) {
	due := make(chan time.Time, rate)
	clients := 8
	if rate > 0 {
		clients = 200
		s.work.Go(func() { s.pace(due, rate) })
	} else {
		close(due)
	}
	for client := range clients {
		s.work.Go(func() {
			for number := client * 31; ; {
				select {
				case <-s.stop:
					return
				case at := <-due:
					number++
					if rate == 0 {
						at = time.Now()
					}
					s.note(wholeSession(s.address, fmt.Sprintf("user%d", number%1000)), at)
				}
			}
		})
	}
}

// pace says when a session is due. One that waits for a client begins late, and counts as slow.
func (s *storm) pace(due chan<- time.Time, rate int) {
	begin := time.Now()
	for n := 0; ; n++ {
		at := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(at))
		select {
		case <-s.stop:
			return
		case due <- at:
		}
	}
}

func (s *storm) note(err error, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, time.Since(since))
	if err != nil {
		s.wrong = append(s.wrong, err)
	}
}

func (s *storm) served() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took)
}

// end ends the storm, and returns how long sessions took, in order.
func (s *storm) end(t *testing.T) []time.Duration {
	t.Helper()
	close(s.stop)
	s.work.Wait()
	for _, err := range s.wrong[:min(len(s.wrong), 10)] {
		t.Error(err)
	}
	slices.Sort(s.took)
	return s.took
}

// While processes take one another's place, every client that comes is served, and all kinds of sessions go on in the
// processes that have them. No row of the protocol log is lost.
func TestUpgradesUnderLoad(t *testing.T) {
	u := &upgradable{site: newSite(t)}
	serverTLS, _ := testkit.TLS(t)
	u.server = testkit.Serve(t, backendtest.NewSink(nil))
	secure := testkit.Serve(t, backendtest.NewSink(serverTLS))
	u.configure(t, "settings: {login_type: plain_text_login, max_connections_per_user: 100000}\n"+
		"directory: {sources: [{rules: [{match: tls, database: db2}, {match: idle, database: db2}, "+
		"{match: '*', database: db1}]}]}\n")
	u.replace(t, "mailbox_servers: {", fmt.Sprintf("mailbox_servers: {mbx2: {address: %q, tls: implicit, "+
		"insecure_skip_verify: true}, ", secure))
	u.replace(t, "databases: {", "databases: {db2: {copies: [mbx2]}, ")
	u.cmd = u.start(t)
	u.run(t, 0, "log", "on", "--user", "logged")
	trust := u.ca.ClientConfig("localhost")
	storm := &storm{address: u.address, stop: make(chan struct{})}
	storm.begin(*newRate)
	var open []*longSession
	const batches = 4 // each is opened in another process
	each := max(*openAtOnce/len(longKinds)/batches, 1)
	noops := 0
	for round := range *inARow {
		for i := range longKinds {
			for n := 0; round < batches && n < each; n++ {
				s, err := longKinds[i].open(longKinds[i].name, u.address, u.implicit, trust)
				if err != nil {
					t.Fatalf("round %d, %s: %v", round, longKinds[i].name, err)
				}
				open = append(open, s)
			}
		}
		before := storm.served()
		u.run(t, 0, "service", "upgrade")
		for _, s := range open {
			if err := s.kind.continues(s); err != nil {
				t.Fatalf("round %d, %s: %v", round, s.kind.name, err)
			}
			if s.kind.name == "logged" {
				noops++
			}
		}
		testkit.Eventually(t, "clients are served", func() bool { return storm.served() > before+20 })
		time.Sleep(*pause)
	}
	took := storm.end(t)
	for _, s := range open {
		if err := s.kind.end(s); err != nil {
			t.Errorf("at the end, %s: %v", s.kind.name, err)
		}
	}
	testkit.Eventually(t, "the processes before have ended", func() bool { return len(u.generations(t)) == 1 })
	rows := func() int { return rowsOf(t, filepath.Join(u.dir, "data", "protocol-log"), "noop") }
	testkit.Eventually(t, "all rows are in the log", func() bool { return rows() >= noops })
	if got := rows(); got > noops {
		t.Errorf("%d rows of %d NOOPs", got, noops)
	}
	t.Logf("%d upgrades, %d open sessions, %d NOOPs of theirs logged, %d sessions came: median %v, p99 %v, longest %v",
		*inARow, len(open), noops, len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// rowsOf counts the rows of a command in the protocol log's files.
func rowsOf(t *testing.T, folder, command string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(bytes.ToLower(text), []byte(","+command+","))
	}
	return n
}

// wholeSession connects, signs in, signs out, and sees the end.
func wholeSession(address, user string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := fmt.Fprintf(conn, "a LOGIN %s secret\r\nb LOGOUT\r\n", user); err != nil {
		return err
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "\r\na OK ") || !strings.Contains(string(text), "\r\nb OK ") {
		return fmt.Errorf("%q, %v", text, err)
	}
	return nil
}
