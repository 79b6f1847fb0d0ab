package bench

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// describe is all that a reader finds, in words.
func describe(src io.Reader) string {
	var b strings.Builder
	r := newResponseReader(src)
	for {
		resp, err := r.read()
		if err != nil {
			var f *failure
			if errors.As(err, &f) {
				err = errors.New(f.kind.String())
			}
			fmt.Fprintf(&b, "%v", err)
			return b.String()
		}
		fmt.Fprintf(&b, "%d %s %d %s %d %s %s|", resp.kind, resp.tag, resp.num, resp.name, resp.status,
			resp.code, resp.args)
		for _, l := range resp.literals {
			fmt.Fprintf(&b, "%d %08x|", l.size, l.sum)
		}
		if resp.is("FETCH") {
			got, err := parseFetch(resp)
			fmt.Fprintf(&b, "%d %d %s %t %v|", got.uid, got.size, got.flags, got.hasBody, err)
		}
		b.WriteString("\n")
	}
}

func TestReader(t *testing.T) {
	body := strings.Repeat("x", 200_000)
	sum := crc32.Checksum([]byte(body), castagnoli)
	for _, c := range []struct{ in, want string }{
		{"* OK [CAPABILITY IMAP4rev1] hi\r\n", "0  0 OK 1 CAPABILITY IMAP4rev1 hi|\nEOF"},
		{"b1 NO [X] no {3}\r\nabc", "2 b1 0 NO 2 X no {3}|\nunexpected EOF"},
		{"* 12 EXISTS\r\n", "0  12 EXISTS 0  |\nEOF"},
		{"+ go {5}\r\n", "1  0  0  go {5}|\nEOF"},
		{"* OK text {5}\r\nb OK x\r\n", "0  0 OK 1  text {5}|\n2 b 0 OK 1  x|\nEOF"},
		{"* LIST () \"/\" {3}\r\na\r\n\r\n", "0  0 LIST 0  () \"/\" {3}|3 %08x|\nEOF"},
		{"* 1 FETCH (UID 7 BODY[] {200000}\r\n" + body + " FLAGS (\\Seen))\r\n",
			fmt.Sprintf("0  1 FETCH 0  (UID 7 BODY[] {200000} FLAGS (\\Seen))|200000 %08x|7 0 \\Seen true <nil>|\nEOF",
				sum)},
		{"* 1 FETCH (X (NIL \"a)(\\\"\" (({2}\r\n)(  NIL)) ) UID 3 BODY[HEADER.FIELDS (A B)] \"hi\" " +
			"RFC822.SIZE 9)\r\n",
			"0  1 FETCH 0  (X (NIL \"a)(\\\"\" (({2}  NIL)) ) UID 3 BODY[HEADER.FIELDS (A B)] \"hi\" " +
				"RFC822.SIZE 9)|2 %08x|3 9  true <nil>|\nEOF"},
		{"* 1 FETCH (BODY[] {4}\r\nab", "unexpected EOF"},
		{"* 1 FETCH (BODY[] {9999999999999999}\r\n", "protocol"},
		{strings.Repeat("* 1 FETCH ({0}\r\n {0}\r\n", 1) + strings.Repeat("{0}\r\n", maxLiterals), "protocol"},
		{"* " + strings.Repeat("x", maxLine+10), "protocol"},
		{"\r\n", "protocol"}, {"* OK\n", "protocol"}, {"*\r\n", "protocol"}, {"* 3\r\n", "protocol"},
		{"b1 HI\r\n", "protocol"},
		{"* 1 X", "EOF"},
	} {
		if strings.Contains(c.want, "%08x") {
			c.want = fmt.Sprintf(c.want,
				crc32.Checksum([]byte(map[bool]string{true: "a\r\n", false: ")("}[strings.Contains(c.in, "LIST")]),
					castagnoli))
		}
		for name, src := range map[string]io.Reader{
			"at once": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			"with the end": iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			got := describe(src)
			if strings.ReplaceAll(got, "unexpected EOF", "EOF") != strings.ReplaceAll(c.want,
				"unexpected EOF", "EOF") {
				t.Errorf("%.60q, %s:\n%.300q, want\n%.300q", c.in, name, got, c.want)
			}
		}
	}
}

// FuzzReader wants the same to be found however the bytes come, and nothing to be kept without bound.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"* OK hi\r\n", "b1 OK [APPENDUID 1 2] x\r\n", "* 1 FETCH (UID 7 BODY[] {3}\r\nabc FLAGS ())\r\n", "+ \r\n",
		"* 1 FETCH (BODY[] \"a\\\"b\")\r\n",
		"* 2 FETCH (X ((NIL) \"(\") UID 1)\r\n", "* STATUS {1}\r\nx (MESSAGES 3)\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, bit := describe(bytes.NewReader(in)), describe(iotest.OneByteReader(bytes.NewReader(in)))
		if whole != bit {
			t.Errorf("at once %q, byte by byte %q", whole, bit)
		}
	})
}

// TestNoopAllocatesNothing: the tool must be cheap, or it measures itself.
func TestNoopAllocatesNothing(t *testing.T) {
	answer := &answering{}
	c := &clientConn{
		shard: &shard{}, timeout: time.Minute, tags: rand.New(rand.NewPCG(1, 2)),
		cut: func() bool { return false },
	}
	c.shard.phase = phaseMeasuring
	c.setConn(answer)
	if allocs := testing.AllocsPerRun(1000, func() {
		if err := c.command(rowNoop, "", time.Time{}, nil); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a command", allocs)
	}
}

// answering is a connection to a server that answers each command with OK.
type answering struct {
	net.Conn
	out []byte
}

func (a *answering) Write(b []byte) (int, error) {
	tag, _, _ := bytes.Cut(b, []byte{' '})
	a.out = append(append(a.out[:0], tag...), " OK done\r\n"...)
	return len(b), nil
}

func (a *answering) Read(b []byte) (int, error) { return copy(b, a.out), nil }

func (a *answering) SetDeadline(time.Time) error { return nil }
func (a *answering) Close() error                { return nil }
