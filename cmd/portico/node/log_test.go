package node

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/health/admin"
)

// rows reads the protocol log's files. Midnight UTC begins a new one and compresses the old one.
func (s *site) rows(t *testing.T) (all [][]string) {
	t.Helper()
	for _, form := range []string{"IMAP4*.LOG", "IMAP4*.LOG.gz"} {
		files, err := filepath.Glob(filepath.Join(s.dir, "data", "protocol-log", form))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			all = append(all, fileRows(t, file)...)
		}
	}
	return all
}

func fileRows(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := io.Reader(f)
	if strings.HasSuffix(file, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	r := csv.NewReader(text)
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// logStatus asks for the state of the protocol log.
func (s *site) logStatus(t *testing.T) (status admin.LogStatus) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.portico(t, 0, "log", "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// logSettled waits until a number of rules are in force, in all open sessions.
func (s *site) logSettled(t *testing.T, rules int) {
	t.Helper()
	testkit.Eventually(t, "the rules are in effect", func() bool {
		status := s.logStatus(t)
		return len(status.Rules) == rules && !status.Pending
	})
}

// serveHalves starts a server that takes every sign-in, and answers a FETCH by one half, and the other when it is
// told.
func serveHalves(t *testing.T, release <-chan struct{}) (address string) {
	ln := testkit.Listen(t)
	session := func(conn net.Conn) {
		defer conn.Close()
		fmt.Fprint(conn, "* OK [CAPABILITY IMAP4rev1] hello\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			tag, command, _ := strings.Cut(lines.Text(), " ")
			if strings.HasPrefix(command, "FETCH") {
				fmt.Fprint(conn, "* 1 FETCH (BODY[] {6}\r\nabc")
				<-release
				fmt.Fprint(conn, "def)\r\n")
			}
			fmt.Fprintf(conn, "%s OK [CAPABILITY IMAP4rev1] done\r\n", tag)
		}
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go session(conn)
		}
	}()
	return ln.Addr().String()
}

// With 400 live sessions that work, the log is switched on for one user in the middle of a FETCH: only that user's
// rows come, from that command on, and it ends by itself.
func TestLogOfOneAmongMany(t *testing.T) {
	const others = 399
	testkit.NoLeaks(t)
	release := make(chan struct{})
	site := newSite(t)
	site.server = serveHalves(t, release)
	r := site.serve(t, site.write(t, "settings: {login_type: plain_text_login}\n"))
	address := r.clients.listeners.addresses()[0].String()

	signIn := func(user string) (net.Conn, *bufio.Reader) {
		conn, lines, err := signInPlain(address, user)
		if err != nil {
			t.Fatal(err)
		}
		return conn, lines
	}
	do := func(conn net.Conn, lines *bufio.Reader, command string) error {
		fmt.Fprintf(conn, "n %s\r\n", command)
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.HasPrefix(line, "n OK") {
				return err
			}
		}
	}
	one, answers := signIn("one")
	defer one.Close()
	over := make(chan struct{})
	var working sync.WaitGroup
	const drivers = 16
	for d := range drivers {
		type client struct {
			conn  net.Conn
			lines *bufio.Reader
		}
		var mine []client
		for i := d; i < others; i += drivers {
			conn, lines := signIn(fmt.Sprintf("other%d", i))
			defer conn.Close()
			mine = append(mine, client{conn, lines})
		}
		working.Go(func() {
			for {
				for _, c := range mine {
					select {
					case <-over:
						return
					default:
					}
					if err := do(c.conn, c.lines, "NOOP"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	if err := do(one, answers, "NOOP"); err != nil { // not logged
		t.Fatal(err)
	}
	fmt.Fprint(one, "f FETCH 1 BODY[]\r\n")
	if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* 1 FETCH") {
		t.Fatalf("%q, %v", line, err)
	}
	if got := site.portico(t, 0, "log", "on", "--user", "one", "--for", "0s"); !strings.Contains(got,
		"r1    user one") {
		t.Errorf("on:\n%s", got)
	}
	site.logSettled(t, 1)
	close(release)
	if line, err := answers.ReadString('\n'); err != nil || line != "abcdef)\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "f OK") {
		t.Fatalf("%q, %v", line, err)
	}
	if err := do(one, answers, "SELECT INBOX"); err != nil {
		t.Fatal(err)
	}
	site.portico(t, 0, "log", "on", "--user", "one*", "--for", "100ms")
	site.portico(t, 0, "log", "off", "r1")
	site.logSettled(t, 0) // the second rule ends by itself
	if err := do(one, answers, "CHECK"); err != nil {
		t.Fatal(err)
	}
	close(over)
	working.Wait()
	r.signals <- syscall.SIGTERM
	r.signals <- syscall.SIGTERM
	r.stopped(t)

	var got []string
	for _, row := range site.rows(t) {
		got = append(got, strings.Join([]string{row[2], row[5], row[7], row[9], row[10], row[11]}, " "))
	}
	want := []string{
		`4 one 0 fetch  R=OK;Msg="begun before the log";_Mbx:mbx1;Rows=1`,
		"5 one 16 select INBOX R=OK;_Mbx:mbx1",
	}
	// What came before the log may count among the responses with data.
	if len(got) == 2 {
		got[0] = strings.TrimSuffix(got[0], ";Rows=1")
		want[0] = strings.TrimSuffix(want[0], ";Rows=1")
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the files have\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Rules from the command line: they are shown, end, survive a restart, and what cannot be used is refused.
func TestLogRules(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	if got := site.portico(t, 0, "log", "status"); !strings.Contains(got,
		"0 rows written, 0 dropped, 0 watching; file: none") {
		t.Errorf("status:\n%s", got)
	}
	site.portico(t, 0, "log", "on", "--user", "alice", "--for", "1h")
	site.portico(t, 0, "log", "on", "--server", "mbx1", "--command", "SELECT", "--slower", "1h", "--for", "0s")
	site.portico(t, 0, "log", "on", "--ip", "192.0.2.0/24", "--session", "0123456789abcdef", "--for", "100ms")
	testkit.Eventually(t, "the third has ended", func() bool { return len(site.logStatus(t).Rules) == 2 })
	r.logged(t, "protocol log rule expired")
	for _, test := range []struct {
		args  []string
		words string
	}{
		{[]string{"on", "--ip", "192.0.2"}, "neither an address nor a network"},
		{[]string{"on", "--user", strings.Repeat("x", 300)}, "longer than 256 bytes"},
		{[]string{"on", "--all", "--for", "-1s"}, "is out of range: give 0 to"},
		{[]string{"on", "--all", "--for", "10000h"}, "is out of range: give 0 to"},
		{[]string{"off", "r9"}, `there is no rule "r9"`},
		{[]string{"off", "setting"}, "ProtocolLogEnabled=false"},
		{[]string{"tail", "-o", "yaml"}, "it must be table, wide, list, json, name or csv"},
		{[]string{"tail", "--ip", "x"}, "neither an address nor a network"},
		{[]string{"show"}, "--session"},
		{[]string{"show", "--session", "9"}, "16 hexadecimal digits"},
		{[]string{"on", "--command", "fetsh"}, "did you mean FETCH?"},
		{[]string{"on", "--server", "mbx9"}, "known: mbx1"},
		{[]string{"show", "--session", "0123456789abcdef"}, "no row of session"},
	} {
		if got := site.portico(t, 2, append([]string{"log"}, test.args...)...); !strings.Contains(got, test.words) {
			t.Errorf("log %s: %s", strings.Join(test.args, " "), got)
		}
	}
	c := r.signIn(t)
	c.Command("b", "NOOP")
	c.Close()
	r.logged(t, `"reason":"client"`)
	r.signals <- syscall.SIGTERM
	r.stopped(t)
	before := len(site.rows(t))
	if before < 5 { // OpenSession, Proxy, login, noop, CloseSession
		t.Errorf("%d rows", before)
	}

	r = site.serve(t, file)
	got := site.portico(t, 0, "log", "status")
	if !strings.Contains(got, "r1    user alice") ||
		!strings.Contains(got, "r2    server mbx1, command SELECT, slower than 1h0m0s") ||
		!strings.Contains(got, "log off") {
		t.Errorf("after a restart:\n%s", got)
	}
	c = r.signIn(t)
	c.Command("b", "SELECT INBOX")
	site.portico(t, 0, "log", "off", "r1")
	testkit.Eventually(t, "r1 has ended", func() bool { return len(site.logStatus(t).Rules) == 1 })
	was := site.logStatus(t).File
	if got := site.portico(t, 0, "settings", "set", "ProtocolLoggingEnabled=$true", "LogFileRollOverSettings=Hourly",
		"protocol_log_format=json"); !strings.Contains(got, "protocol_log_enabled") {
		t.Errorf("set:\n%s", got)
	}
	testkit.Eventually(t, "it is a rule", func() bool { return len(site.logStatus(t).Rules) == 2 })
	if got := site.portico(t, 0, "log", "status"); !strings.Contains(got, "setting  everything") {
		t.Errorf("with the setting:\n%s", got)
	}
	testkit.Eventually(t, "rows of the other form", func() bool {
		c.Command("c", "NOOP")
		// the name depends on the hour: from midnight on, an hour's file may be named as a day's
		now := site.logStatus(t)
		return now.File != was && now.Rows > uint64(before)
	})
	text, err := os.ReadFile(site.logStatus(t).File)
	if err != nil || !strings.HasPrefix(string(text), `{"dateTime":"`) {
		t.Errorf("%s, %v: %.100s", site.logStatus(t).File, err, text)
	}
	if got := site.portico(t, 0, "log", "off", "--all"); !strings.Contains(got, "1") ||
		!strings.Contains(got, "Everything is still logged") {
		t.Errorf("off:\n%s", got)
	}
	site.portico(t, 0, "settings", "set", "ProtocolLogEnabled=false")
	testkit.Eventually(t, "nothing is on", func() bool { return len(site.logStatus(t).Rules) == 0 })
}

// Rows are watched over HTTP and by the command, from a session that is open, with nothing in the files; and a past
// session is found in them.
func TestLogTailAndShow(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	c := r.signIn(t)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"http://"+r.api.address.String()+"/api/v1/log/stream?user=al*&command=select&format=json", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("type %s", got)
	}
	testkit.Eventually(t, "somebody watches", func() bool { return site.logStatus(t).Watchers == 1 })
	seen := make(chan string, 1)
	go func() {
		stream := bufio.NewScanner(response.Body)
		// The log may begin in the middle of a command.
		for stream.Scan() && strings.Contains(stream.Text(), "begun before the log") {
		}
		seen <- stream.Text()
	}()
	var line string
	testkit.Eventually(t, "a row is seen", func() bool {
		c.Command("b", "NOOP")
		c.Command("c", "SELECT INBOX")
		select {
		case line = <-seen:
			return true
		default:
			return false
		}
	})
	var row map[string]any
	if err := json.Unmarshal([]byte(line), &row); err != nil || row["command"] != "select" || row["user"] != "alice" ||
		row["parameters"] != "INBOX" {
		t.Errorf("%s: %v", line, err)
	}
	cancel()
	testkit.Eventually(t, "nobody watches", func() bool { return site.logStatus(t).Watchers == 0 })
	if rows := site.rows(t); len(rows) != 0 {
		t.Errorf("the files have %q", rows)
	}

	tail := testkit.Program(t, "log", "tail", "-o", "csv", "--user", "ALICE", "--admin",
		filepath.Join(site.dir, "admin.sock"))
	out := &testkit.Log{}
	tail.Stdout = out
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the command watches", func() bool { return site.logStatus(t).Watchers == 1 })
	site.portico(t, 0, "log", "on", "--user", "alice")
	site.logSettled(t, 1)
	c.Command("d", "LIST \"\" *")
	testkit.Eventually(t, "the row is written", func() bool { return len(site.rows(t)) > 0 })
	testkit.Eventually(t, "the row is shown", func() bool { return strings.Contains(out.String(), ",list,") })
	send(t, tail.Process, syscall.SIGINT)
	if err := tail.Wait(); err != nil {
		t.Errorf("tail: %v", err)
	}
	if text := out.String(); !strings.HasPrefix(text, "#Fields: dateTime,sessionId,") ||
		!strings.Contains(text, `,list,""""" *",R=OK;`) {
		t.Errorf("tail shows\n%s", text)
	}
	var sessions []admin.SessionState
	if err := json.Unmarshal([]byte(site.portico(t, 0, "session", "list", "-o", "json")), &sessions); err != nil ||
		len(sessions) != 1 {
		t.Fatalf("%v, %v", sessions, err)
	}
	if got := site.portico(t, 0, "log", "show", "-o", "csv", "--session", sessions[0].ID); !strings.Contains(got,
		",list,") || !strings.HasPrefix(got, "#Fields: ") {
		t.Errorf("show:\n%s", got)
	}
	for _, filter := range [][]string{{"--user", "ALICE"}, {"--user", "al*"}, {"--ip", "127.0.0.0/8"},
		{"--server", "mbx1"}, {"--command", "list"}, {"--from", "1h"}} {
		got := site.portico(t, 0, append([]string{"log", "show"}, filter...)...)
		if !strings.Contains(got, `LIST`) && !strings.Contains(got, " list ") || !strings.HasPrefix(got, "Time  ") ||
			!strings.Contains(got, "  OK\n") {
			t.Errorf("%q:\n%s", filter, got)
		}
	}
	for _, filter := range [][]string{{"--user", "bob"}, {"--ip", "192.0.2.1"}, {"--command", "fetch"},
		{"--slower", "1h"}, {"--user", "alice", "--to", "1h"}} {
		if got := site.portico(t, 0, append([]string{"log", "show"}, filter...)...); !strings.Contains(got,
			"portico: no rows match\n") {
			t.Errorf("%q:\n%s", filter, got)
		}
		if got := site.portico(t, 0, append([]string{"log", "show", "-o", "csv"}, filter...)...); got !=
			"portico: no rows match\n" {
			t.Errorf("%q as CSV:\n%s", filter, got)
		}
	}
	if got := site.portico(t, 2, "log", "show", "--command", "fetch", "--node", "mx9"); !strings.Contains(got, "mx9") {
		t.Errorf("on an unknown node:\n%s", got)
	}
	if got := site.portico(t, 0, "log", "show", "--session", sessions[0].ID, "-o", "json"); !strings.Contains(got,
		`"command":"list"`) {
		t.Errorf("show:\n%s", got)
	}
	c.Close()

	// Files that cannot be written are bad news, and mail goes on.
	c = r.signIn(t)
	dir := filepath.Join(site.dir, "data", "protocol-log")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it fails", func() bool {
		c.Command("e", "NOOP")
		var out bytes.Buffer
		status := cli.Run([]string{"log", "status", "--admin", filepath.Join(site.dir, "admin.sock")}, &out,
			&out, program)
		return status == cli.StatusBad && strings.Contains(out.String(), "The protocol log cannot be written since")
	})
	r.logged(t, "cannot write the protocol log")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is written again", func() bool {
		c.Command("f", "NOOP")
		var out bytes.Buffer
		return cli.Run([]string{"log", "status", "--admin", filepath.Join(site.dir, "admin.sock")}, &out,
			&out, program) == cli.StatusFine && len(site.rows(t)) > 0
	})
}
