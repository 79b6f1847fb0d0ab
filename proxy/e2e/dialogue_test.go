package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// dialogue is a client's side of a conversation, from a file: one step a line; empty lines and lines that begin with #
// say nothing.
//
//	mail 3                 there are that many messages in INBOX beforehand (first of all steps)
//	C: a NOOP              send this line; ${user}, ${password} and ${plain} (SASL's PLAIN) are filled in
//	raw "a NOOP\r\nb"      send these bytes; Go's escapes
//	split                  send what the next step sends in packets of one byte
//	packet ... end         send what the steps between send in one packet
//	literal 300            send a message of this many bytes
//	atom 300               send this many letters
//	wait a                 wait for a line that begins with this word: a tag, +, or *
//	see EXISTS             wait for a line with this text in it
//	signed-in a            wait for the answer to a; what is compared begins here
//	deliver 7              put the 7th test message in INBOX
//	other a COPY 1 INBOX   a second connection, straight to the server, signs in, selects INBOX and does this
//	half-close             send no more
//
// At the end the server is waited for to close. A line "--- server" begins a script for the server to follow; without
// one it is Dovecot. A line "--- simple" says that it is the Dovecot that offers nothing to be intercepted, a line
// "--- early" that it may answer a command whose end has not come yet: what the rows tell of it then depends on the
// pieces it comes in.
type dialogue struct {
	name   string
	steps  []step
	mail   int
	script string
	simple bool
	early  bool
}

type step struct {
	line int // in the file
	verb string
	text string
	n    int
}

// pipelined says whether several commands are sent without waiting for answers.
func (d dialogue) pipelined() bool {
	return slices.ContainsFunc(d.steps, func(s step) bool { return s.verb == "packet" })
}

func readDialogue(t *testing.T, path string) dialogue {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := dialogue{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
	steps, script, _ := strings.Cut(string(text), "--- server\n")
	d.script = script
	number := 0
	for line := range strings.Lines(steps) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		switch line {
		case "--- simple":
			d.simple = true
			continue
		case "--- early":
			d.early = true
			continue
		}
		st, err := parseStep(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", path, number, err)
		}
		st.line = number
		if st.verb == "mail" {
			d.mail = st.n
			continue
		}
		d.steps = append(d.steps, st)
	}
	return d
}

func parseStep(line string) (st step, err error) {
	st.verb, st.text, _ = strings.Cut(line, " ")
	switch st.verb {
	case "C:", "split", "packet", "end", "wait", "see", "signed-in", "other", "half-close":
	case "raw":
		st.text, err = strconv.Unquote(st.text)
	case "mail", "literal", "atom", "deliver":
		st.n, err = strconv.Atoi(st.text)
	default:
		err = fmt.Errorf("unknown step %q", st.verb)
	}
	return st, err
}

// play is a dialogue being held on one connection.
type play struct {
	t      *testing.T
	stream *stream
	user   string
	real   mailServer // nil where the server is scripted

	at     int // offset in what came, behind what was waited for
	from   int // offset where the comparison begins
	split  bool
	packet *strings.Builder // not nil between packet and end
}

// hold holds the dialogue and returns what the server said, and how it ended.
func (p *play) hold(d dialogue) (said, end string) {
	p.t.Helper()
	for _, st := range d.steps {
		if !p.step(st) {
			got, end := p.stream.text()
			p.t.Fatalf("%s.txt:%d: %s %s: did not happen (connection: %s); so far:\n%s", d.name, st.line, st.verb,
				st.text, end, got)
		}
	}
	said, end = p.stream.rest()
	return said[p.from:], end
}

// step answers false when something that was waited for did not come.
func (p *play) step(st step) (ok bool) {
	switch st.verb {
	case "C:":
		p.send(p.fill(st.text) + "\r\n")
	case "raw":
		p.send(p.fill(st.text))
	case "literal":
		p.send(filler(st.n))
	case "atom":
		p.send(strings.Repeat("x", st.n))
	case "split":
		p.split = true
	case "packet":
		p.packet = new(strings.Builder)
	case "end":
		text := p.packet.String()
		p.packet = nil
		p.send(text)
	case "deliver":
		p.real.deliver(p.t, p.user, st.n)
	case "other":
		p.other(st.text)
	case "half-close":
		p.stream.Conn.(interface{ CloseWrite() error }).CloseWrite()
	default:
		return p.wait(st)
	}
	return true
}

func (p *play) wait(st step) (ok bool) {
	found := begins(st.text)
	if st.verb == "see" {
		found = line(func(l string) bool { return strings.Contains(l, st.text) })
	}
	before := p.at
	p.at, ok = p.stream.await(before, found)
	if st.verb == "signed-in" {
		said, _ := p.stream.text()
		p.from = strings.LastIndexByte(said[:max(p.at-1, 0)], '\n') + 1
	}
	return ok
}

func (p *play) send(text string) {
	switch {
	case p.packet != nil:
		p.packet.WriteString(text)
	case p.split:
		p.split = false
		p.stream.sendBytes(text)
	default:
		p.stream.send(text)
	}
}

func (p *play) fill(text string) string {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + p.user + "\x00" + password))
	return strings.NewReplacer("${user}", p.user, "${password}", password, "${plain}", plain).Replace(text)
}

// other does not pipeline: Courier drops what comes behind LOGIN.
func (p *play) other(command string) {
	c := testkit.Dial(p.t, p.real.address(), nil)
	c.Expect("* OK *")
	c.Command("l", "LOGIN "+p.user+" "+password)
	c.Command("s", "SELECT INBOX")
	c.Command("a", strings.TrimPrefix(command, "a "))
	c.Command("z", "LOGOUT")
	c.Close()
}

// filler returns n bytes of a message.
func filler(n int) string {
	const head, line = "Subject: filler\r\n\r\n", "A line of the message, as long as any.\r\n"
	return (head + strings.Repeat(line, n/len(line)+1))[:n]
}
