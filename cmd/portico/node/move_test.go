package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

// twoServers is a site whose one database has copies on two mailbox servers, which keep a book of who is on which.
type twoServers struct {
	*site
	book *book
}

func newTwoServers(t *testing.T) *twoServers {
	t.Helper()
	s := &twoServers{newSite(t), &book{at: make(map[string]string), t: t}}
	s.book.changed = sync.NewCond(&s.book.mu)
	var servers []string
	for _, name := range []string{"mbx1", "mbx2"} {
		servers = append(servers, fmt.Sprintf("%s: {address: %q, tls: none}", name, s.book.serve(name)))
	}
	s.server = "x" // marks the place
	file := s.writeWithout(t, "databases", "databases: {db1: {copies: [mbx1, mbx2]}}\n")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `mbx1: {address: "x", tls: none}`, strings.Join(servers, ", "), 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// book is who is on which server. A user who signs in on one while the other still has a session of theirs, which does
// not end by itself, is written down.
type book struct {
	t       *testing.T
	mu      sync.Mutex
	changed *sync.Cond
	at      map[string]string
	twice   []string
}

// serve starts a server that takes every sign-in.
func (b *book) serve(name string) (address string) {
	ln := testkit.Listen(b.t)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go b.session(name, conn)
		}
	}()
	return ln.Addr().String()
}

func (b *book) session(name string, conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n")
	user := ""
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && fields[1] == "LOGIN" {
			user = fields[2]
			b.signIn(user, name)
		}
		fmt.Fprintf(conn, "%s OK [CAPABILITY IMAP4rev1] done\r\n", fields[0])
	}
	if user != "" {
		b.signOut(user)
	}
}

func (b *book) signIn(user, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	const limit = 20 * time.Second // less than a session lingers that is not ended at once
	late := time.AfterFunc(limit, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changed.Broadcast()
	})
	defer late.Stop()
	for began := time.Now(); b.at[user] != ""; b.changed.Wait() { // the end of the other session may be on its way
		if time.Since(began) >= limit {
			b.twice = append(b.twice, user)
			break
		}
	}
	b.at[user] = name
}

func (b *book) signOut(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.at, user)
	b.changed.Broadcast()
}

// count returns how many users are on a server.
func (b *book) count(name string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.at {
		if at == name {
			n++
		}
	}
	return n
}

// portico runs a command against the site's admin socket.
func (s *site) portico(t *testing.T, wantStatus int, args ...string) (output string) {
	t.Helper()
	var out bytes.Buffer
	status := cli.Run(append(args, "--admin", filepath.Join(s.dir, "admin.sock")), &out, &out, program)
	if status != wantStatus {
		t.Errorf("portico %s: status %d, want %d\n%s", strings.Join(args, " "), status, wantStatus, &out)
	}
	return out.String()
}

// Block and move with 400 live sessions: all are on the new copy in the end, and nobody was on both. What was done
// is so after a restart, and nothing moves back by itself.
func TestBlockAndMove(t *testing.T) {
	const users = 400
	testkit.NoLeaks(t)
	site := newTwoServers(t)
	file := filepath.Join(site.dir, "portico.yaml")
	if err := appendTo(file, "settings: {login_type: plain_text_login}\n"); err != nil {
		t.Fatal(err)
	}
	r := site.serve(t, file)
	address := r.clients.listeners.addresses()[0].String()

	var clients sync.WaitGroup
	var signedIn, byes atomic.Int32
	over := make(chan struct{})
	limit := make(chan struct{}, 40) // sign-ins at once
	for i := range users {
		clients.Go(func() {
			user := fmt.Sprintf("user%d", i)
			for {
				limit <- struct{}{}
				conn, lines, err := signInPlain(address, user)
				<-limit
				if err != nil {
					t.Errorf("%s: %v", user, err)
					return
				}
				signedIn.Add(1)
				ended := make(chan string, 1)
				go func() {
					line, _ := lines.ReadString('\n')
					ended <- line
				}()
				select {
				case <-over:
					conn.Close()
					<-ended
					return
				case line := <-ended:
					conn.Close()
					if !strings.HasPrefix(line, "* BYE [UNAVAILABLE] ") {
						t.Errorf("%s: ended by %q", user, line)
					}
					byes.Add(1)
				}
			}
		})
	}
	testkit.Eventually(t, "all sessions", func() bool { return site.book.count("mbx1") == users })
	checkListed(t, site.site, users)
	if got := site.portico(t, 0, "database", "status"); !strings.Contains(got, "mbx1    Mounted") {
		t.Errorf("before:\n%s", got)
	}
	began := time.Now()
	if got := site.portico(t, 0, "server", "block", "mbx1", "--move"); !strings.Contains(got, "moved to mbx2") {
		t.Errorf("block:\n%s", got)
	}
	if spread := time.Since(began); spread < moveSpread-time.Second {
		t.Errorf("all sessions ended within %v", spread)
	}
	testkit.Eventually(t, "all users on the other copy", func() bool { return site.book.count("mbx2") == users })
	if n := byes.Load(); n != users {
		t.Errorf("%d sessions were told BYE", n)
	}
	if len(site.book.twice) > 0 || site.book.count("mbx1") > 0 {
		t.Errorf("on both copies: %q; %d left on the old one", site.book.twice, site.book.count("mbx1"))
	}
	if got := site.portico(t, 1, "database", "rebalance"); !strings.Contains(got,
		"kept: activation on the server is blocked") {
		t.Errorf("rebalance with the block on:\n%s", got)
	}
	site.portico(t, 0, "server", "unblock", "mbx1")
	if got := site.portico(t, 0, "server", "list", "-o", "list"); !strings.Contains(got,
		"Name            : mbx1\nState           : up\nPaused          : no\nBreakerOpen     : no\nPolicy          "+
			": Unrestricted\nBlocked         : no\nActiveDatabases : 0") {
		t.Errorf("servers:\n%s", got)
	}
	close(over)
	clients.Wait()

	// After a restart.
	r.signals <- os.Interrupt
	r.signals <- os.Interrupt
	r.stopped(t)
	site.serve(t, file)
	if got := site.portico(t, 0, "database", "status", "-o",
		"json"); !strings.Contains(strings.Join(strings.Fields(got), " "), `"server": "mbx2", "status": "Mounted"`) {
		t.Errorf("after a restart:\n%s", got)
	}
	if got := site.portico(t, 0, "database", "rebalance"); !strings.Contains(got, "moved to mbx1") {
		t.Errorf("rebalance:\n%s", got)
	}
	if got := site.portico(t, 0, "database", "status", "--group-by", "status"); !strings.Contains(got,
		"1      Healthy\n1      Mounted\n") {
		t.Errorf("grouped:\n%s", got)
	}
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// checkListed wants a number of sessions listed, each of another user.
func checkListed(t *testing.T, site *site, users int) {
	t.Helper()
	testkit.Eventually(t, "all sessions are listed", func() bool { // the relay takes a session over behind the answer
		var listed []admin.SessionState
		if err := json.Unmarshal([]byte(site.portico(t, 0, "session", "list", "-o", "json")), &listed); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, s := range listed {
			seen[s.User] = true
		}
		return len(listed) == users && len(seen) == users
	})
}

// Who is where, what they do, and their end.
func TestUserCommands(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	first, second := r.signIn(t), r.signIn(t)
	first.Command("b", "NOOP")
	if got := site.portico(t, 0, "user", "where", "ALICE"); !strings.Contains(got,
		"alice  db1       mbx1    up     no     2") {
		t.Errorf("where:\n%s", got)
	}
	list := func() string {
		return site.portico(t, 0, "session", "list", "--user", "alice", "--server", "mbx1", "-o", "json")
	}
	testkit.Eventually(t, "what the session does",
		func() bool { return strings.Contains(list(), "\"commands\": 1,\n    \"open\": 0") })
	second.Send("c IDLE")
	second.Expect("+ *")
	testkit.Eventually(t, "that it idles", func() bool { return strings.Contains(list(), "\"idling\": true") })
	if got := site.portico(t, 0, "session", "list", "--user", "bob"); !strings.Contains(got,
		"bob has no such session") || strings.Count(got, "\n") != 3 {
		t.Errorf("bob's sessions:\n%s", got)
	}
	if got := site.portico(t, 0, "user", "kick", "alice"); !strings.HasPrefix(got, "2 sessions ended.\n") ||
		strings.Count(got, "alice") != 2 {
		t.Errorf("kick says %q", got)
	}
	first.Expect("* BYE Session closed by the administrator")
	first.ExpectEOF()
	second.Expect("* BYE Session closed by the administrator")
	r.logged(t, `"reason":"kicked"`)
	if got := site.portico(t, 0, "user", "kick", "alice"); !strings.HasSuffix(got, "0 sessions ended.\n") {
		t.Errorf("kick again says %q", got)
	}
	if got := site.portico(t, 2, "user", "where", "a\nb"); !strings.Contains(got, "not a user name") {
		t.Errorf("no name:\n%s", got)
	}
}

// signInPlain signs a user in, without TLS and as cheaply as it goes.
func signInPlain(address, user string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", address, testkit.Patience)
	if err != nil {
		return nil, nil, err
	}
	lines := bufio.NewReaderSize(conn, 256)
	if _, err = lines.ReadString('\n'); err == nil {
		fmt.Fprintf(conn, "a LOGIN %s secret\r\n", user)
		var answer string
		if answer, err = lines.ReadString('\n'); err == nil && !strings.HasPrefix(answer, "a OK") {
			err = fmt.Errorf("sign-in answered %q", answer)
		}
	}
	if err != nil {
		conn.Close()
	}
	return conn, lines, err
}

// What cannot be done is said, and changes nothing.
func TestMoveRefusals(t *testing.T) {
	testkit.NoLeaks(t)
	site := newTwoServers(t)
	r := site.serve(t, filepath.Join(site.dir, "portico.yaml"))
	for _, test := range []struct {
		args   []string
		status int
		words  string
	}{
		{[]string{"database", "move", "db9", "mbx1"}, 2, `there is no database "db9"; known: db1`},
		{[]string{"database", "move", "db1", "mbx9"}, 2, `there is no mailbox server "mbx9"; known: mbx1, mbx2`},
		{[]string{"server", "block", "mbx9"}, 2, `there is no mailbox server "mbx9"`},
		{[]string{"server", "unblock", "mbx9"}, 2, "there is no mailbox server"},
		{[]string{"server", "block", "mbx2"}, 0, ""},
		{[]string{"database", "move", "db1", "mbx2"}, 2, "activation on the server is blocked"},
		{[]string{"server", "block", "mbx1", "--move"}, 1, "kept: activation on the server is blocked"},
		{[]string{"database", "move", "db1", "mbx1"}, 0, "active copy of db1  mbx1  mbx1"},
		{[]string{"server", "list", "-o", "yaml"}, 2, "it must be table, wide, list, json or name"},
		{[]string{"database", "status", "--group-by", "server"}, 2, "--group-by takes only"},
	} {
		if got := site.portico(t, test.status, test.args...); !strings.Contains(got, test.words) {
			t.Errorf("portico %s says %q, want %q", strings.Join(test.args, " "), got, test.words)
		}
	}
	// On loopback without a token everybody may look, and nobody may touch.
	url := "http://" + r.api.address.String()
	var out bytes.Buffer
	if status := cli.Run([]string{"server", "list", "--admin", url}, &out, &out, program); status != 0 {
		t.Errorf("list over TCP: %d\n%s", status, &out)
	}
	if status := cli.Run([]string{"server", "unblock", "mbx1", "--admin", url}, &out, &out, program); status != 2 ||
		!strings.Contains(out.String(), "token") {
		t.Errorf("unblock over TCP without a token: %d\n%s", status, &out)
	}
	if status := cli.Run([]string{"server", "list", "--admin", filepath.Join(site.dir, "none.sock")}, &out,
		&out, program); status != 2 {
		t.Errorf("nobody there: %d\n%s", status, &out)
	}
}
