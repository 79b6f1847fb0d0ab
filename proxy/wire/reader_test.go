package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var testLimits = Limits{Line: 64, Literal: 16, Command: 100, SASL: 32}

// sources read a text whole, byte by byte, and with its end reported along with its last bytes.
var sources = map[string]func(io.Reader) io.Reader{
	"whole":       func(r io.Reader) io.Reader { return r },
	"one byte":    iotest.OneByteReader,
	"half":        iotest.HalfReader,
	"end at once": iotest.DataErrReader,
}

// eachSource runs a test with the text read in each way.
func eachSource(t *testing.T, text string, test func(t *testing.T, r io.Reader)) {
	t.Helper()
	for name, source := range sources {
		t.Run(name, func(t *testing.T) { test(t, source(strings.NewReader(text))) })
	}
}

func TestReadCommand(t *testing.T) {
	longest, name32 := strings.Repeat("t", 1024), strings.Repeat("N", 32)
	line64 := "a " + name32 + " " + strings.Repeat("y", 28) + "\n"
	most := "a X {16}\n" + strings.Repeat("z", 16) + strings.Repeat(" {16}\n"+strings.Repeat("z", 16), 3) // 91 bytes
	limit := func(what string, n int) error { return &LimitError{what, n} }
	for _, c := range []struct {
		name  string
		input string
		raw   string // the whole command
		tag   string
		verb  Verb
		word  string
		err   error
	}{
		{"plain", "a1 NOOP\r\n", "a1 NOOP\r\n", "a1", VerbNoop, "NOOP", nil},
		{"LF only, any case", "a login x y\n", "a login x y\n", "a", VerbLogin, "LOGIN", nil},
		{"unknown", "a x-Y=1 2\r\n", "a x-Y=1 2\r\n", "a", VerbOther, "X-Y=1", nil},
		{"UID is no pair here", "a UID FETCH\r\n", "a UID FETCH\r\n", "a", VerbOther, "UID", nil},
		{"literal", "a LOGIN {3}\r\nx\n{ {1+}\r\ny\r\nrest", "a LOGIN {3}\r\nx\n{ {1+}\r\ny\r\n", "a", VerbLogin,
			"LOGIN", nil},
		{"empty literal", "a LOGIN {0}\r\n\r\n", "a LOGIN {0}\r\n\r\n", "a", VerbLogin, "LOGIN", nil},
		{"longest line", line64, line64, "a", VerbOther, name32, nil},
		{"line too long", "a X " + strings.Repeat("y", 60) + "\n", "", "", 0, "", limit("line", 64)},
		{"line too long, unended", "a X " + strings.Repeat("y", 60), "", "", 0, "", limit("line", 64)},
		{"longest literal", "a X {16}\n" + strings.Repeat("z", 16) + "\n",
			"a X {16}\n" + strings.Repeat("z", 16) + "\n", "a", VerbOther, "X", nil},
		{"literal too long", "a X {17}\n", "", "", 0, "", limit("literal", 16)},
		{"literal far too long", "a X {9223372036854775807+}\n", "", "", 0, "", limit("literal", 16)},
		{"number that is none", "a X {9223372036854775808}\n", "a X {9223372036854775808}\n", "a",
			VerbOther, "X", nil},
		{"longest command", most + "12345678\n", most + "12345678\n", "a", VerbOther, "X", nil},
		{"command too long", most + "123456789\n", "", "", 0, "", limit("command", 100)},
		{"literal behind the limit", most + " {5}\n", "", "", 0, "", limit("command", 100)},
		{"end", "", "", "", 0, "", io.EOF},
		{"end in a line", "a NO", "", "", 0, "", io.ErrUnexpectedEOF},
		{"end in a literal", "a X {3}\nab", "", "", 0, "", io.ErrUnexpectedEOF},
		{"end in front of a literal", "a X {3}\n", "", "", 0, "", io.ErrUnexpectedEOF},
		{"end behind a literal", "a X {3}\nabc", "", "", 0, "", io.ErrUnexpectedEOF},
		{"blank line", "\r\n", "", "", 0, "", &SyntaxError{"", 0, "no tag"}},
		{"no tag", " NOOP\r\n", "", "", 0, "", &SyntaxError{"", 0, "no tag"}},
		{"NUL", "\x00\r\n", "", "", 0, "", &SyntaxError{"", 0, "no tag"}},
		{"tag alone", "a\r\n", "", "a", 0, "", &SyntaxError{"a", 1, "no command after the tag"}},
		{"tag and TAB", "a\tNOOP\r\n", "", "a", 0, "", &SyntaxError{"a", 1, "no command after the tag"}},
		{"no verb", "a \r\n", "", "a", 0, "", &SyntaxError{"a", 2, "no command after the tag"}},
		{"two blanks", "a  NOOP\r\n", "a  NOOP\r\n", "a", VerbNoop, "NOOP", nil},
		{"verb and NUL", "a NOOP\x00\r\n", "", "a", 0, "", &SyntaxError{"a", 2, "no command after the tag"}},
		{"verb too long", "a " + name32 + "N\r\n", "", "a", 0, "", &SyntaxError{"a", 2, "no command after the tag"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachSource(t, c.input, func(t *testing.T, src io.Reader) {
				r := NewReader(src, testLimits)
				cmd, err := r.ReadCommand(nil)
				sameError(t, err, c.err)
				if cmd.Tag != c.tag || cmd.Verb != c.verb || cmd.Name != c.word || string(cmd.Args.raw) != c.raw {
					t.Errorf("tag %q, verb %s, name %q, whole %q", cmd.Tag, cmd.Verb, cmd.Name, cmd.Args.raw)
				}
			})
		})
	}
	t.Run("tags", func(t *testing.T) {
		lim := Limits{Line: 2000, Command: 2000}
		if cmd, err := NewReader(strings.NewReader(longest+" NOOP\n"), lim).ReadCommand(nil); err != nil ||
			cmd.Tag != longest {
			t.Errorf("1,024 bytes: %q, %v", cmd.Tag, err)
		}
		cmd, err := NewReader(strings.NewReader(longest+"t NOOP\n"), lim).ReadCommand(nil)
		sameError(t, err, &SyntaxError{"", 1024, "tag too long"})
		if cmd.Tag != "" {
			t.Errorf("1,025 bytes: %q", cmd.Tag)
		}
	})
}

// An initial response may be as long as any line of a SASL exchange, and ID as long as RFC 2971 has it, whatever the
// bounds of other commands.
func TestLongArguments(t *testing.T) {
	lim := Limits{Line: 2 << 10, Literal: 1 << 10, Command: 2 << 10, SASL: 64 << 10}
	response := strings.Repeat("QUFB", 16<<10)
	value := strings.Repeat(`\"`, 1024)
	pairs := strings.Repeat(` "`+strings.Repeat("n", 30)+`" "`+value[:1024]+`"`, 30)
	literals := strings.Repeat(" {30+}\r\n"+strings.Repeat("n", 30)+" {1024+}\r\n"+strings.Repeat("v", 1024), 30)
	for _, text := range []string{
		"a AUTHENTICATE XOAUTH2 " + response + "\r\n", "a  authenticate  OAUTHBEARER " + response + " \r\n",
		strings.Repeat("t", 1024) + " AUTHENTICATE PLAIN " + response + "\r\n", "a ID (" + pairs[1:] + ")\r\n",
		"a id (" + literals[1:] + ")\r\n",
	} {
		eachSource(t, text, func(t *testing.T, src io.Reader) {
			if cmd, err := NewReader(src, lim).ReadCommand(nil); err != nil || string(cmd.Args.raw) != text {
				t.Fatalf("%.40q, %d bytes: %d bytes, %v", text, len(text), len(cmd.Args.raw), err)
			}
		})
	}
	for _, text := range []string{
		"a AUTHENTICATE XOAUTH2 " + response + response + "\r\n", "a AUTHENTICATES XOAUTH2 " + response + "\r\n",
		"a LOGIN " + response + " x\r\n",
		"AUTHENTICATE " + response + "\r\n", "a ID (" + pairs + pairs + pairs + ")\r\n",
	} {
		var limit *LimitError
		if _, err := NewReader(strings.NewReader(text), lim).ReadCommand(nil); !errors.As(err, &limit) {
			t.Errorf("%.40q, %d bytes: %v", text, len(text), err)
		}
	}
}

// A refused command leaves the reader behind it: a client that waits sends no literal, and what one that does not wait
// has sent is dropped.
func TestRefusedLiteral(t *testing.T) {
	refusal := errors.New("not here")
	for _, input := range []string{
		"a LOGIN {3}\r\n", "a LOGIN {5}\r\nb X\r\n {3}\r\nc Y\r\n", "a LOGIN {5+}\r\nb X\r\n {3}\r\n",
		"a LOGIN bob {7+}\r\nc X {9}\r {0}\r\n",
	} {
		r := NewReader(&twoParts{input, "n NOOP\r\n"}, testLimits)
		cmd, err := r.ReadCommand(func(cmd Command) error {
			if cmd.Tag != "a" || cmd.Verb != VerbLogin {
				t.Errorf("%q: asked for %q %v", input, cmd.Tag, cmd.Verb)
			}
			return refusal
		})
		if err != refusal || cmd.Tag != "a" || cmd.Verb != VerbLogin {
			t.Errorf("%q: %q %v, %v", input, cmd.Tag, cmd.Verb, err)
		}
		if next, err := r.ReadCommand(nil); next.Tag != "n" || err != nil {
			t.Errorf("%q: behind it %q, %v", input, next.Tag, err)
		}
	}
}

// twoParts gives its first part by one read, and the other part by the next.
type twoParts [2]string

func (p *twoParts) Read(to []byte) (int, error) {
	n := copy(to, p[0])
	if p[0] = p[0][n:]; p[0] == "" {
		p[0], p[1] = p[1], ""
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// sameError compares errors by their texts.
func sameError(t *testing.T, got, want error) {
	t.Helper()
	var syntax, wantSyntax *SyntaxError
	var limit, wantLimit *LimitError
	switch {
	case errors.As(got, &syntax) && errors.As(want, &wantSyntax) && *syntax == *wantSyntax:
	case errors.As(got, &limit) && errors.As(want, &wantLimit) && *limit == *wantLimit:
	case errors.Is(got, want):
	default:
		t.Fatalf("error %#v, want %#v", got, want)
	}
}

// The continuation request is asked for before each synchronising literal, and for no other; a literal over its limit
// is not invited.
func TestReadCommandProceeds(t *testing.T) {
	refusal := errors.New("the connection is gone")
	for _, c := range []struct {
		input string
		fails bool
		asked int
		err   error
	}{
		{"a LOGIN x y\n", false, 0, nil},
		{"a LOGIN {1}\nx {2}\nyy\n", false, 2, nil},
		{"a LOGIN {1+}\nx {2}\nyy\n", false, 1, nil},
		{"a LOGIN {1+}\nx {2+}\nyy\n", false, 0, nil},
		{"a LOGIN {17}\n", false, 0, &LimitError{"literal", 16}},
		{"a LOGIN {1}\nx {17}\n", false, 1, &LimitError{"literal", 16}},
		{"a LOGIN {1}\n", true, 1, refusal},
	} {
		asked := 0
		_, err := NewReader(strings.NewReader(c.input), testLimits).ReadCommand(func(Command) error {
			if asked++; c.fails {
				return refusal
			}
			return nil
		})
		sameError(t, err, c.err)
		if asked != c.asked {
			t.Errorf("%q: asked %d times to go on, want %d", c.input, asked, c.asked)
		}
	}
}

// What comes behind a command stays for the next, whatever it is, and a syntax error is no reason to lose step.
func TestReaderStaysInStep(t *testing.T) {
	const input = "a AUTHENTICATE PLAIN\r\nAHgAeQ==\r\n\r\n*\r\n=\r\n???\r\nb\r\nc LOGIN {1}\r\nx y\r\nd " +
		"NOOP\r\nleft over"
	eachSource(t, input, func(t *testing.T, src io.Reader) {
		r := NewReader(src, testLimits)
		command := func(tag string, want error) {
			t.Helper()
			cmd, err := r.ReadCommand(nil)
			if sameError(t, err, want); cmd.Tag != tag {
				t.Fatalf("tag %q, want %q", cmd.Tag, tag)
			}
		}
		response := func(want string, wantErr error) {
			t.Helper()
			got, err := r.ReadSASL()
			if sameError(t, err, wantErr); string(got) != want {
				t.Fatalf("response %q, want %q", got, want)
			}
		}
		command("a", nil)
		response("\x00x\x00y", nil)
		response("", nil)
		response("", ErrCancelled)
		response("", ErrBase64)
		response("", ErrBase64)
		command("b", &SyntaxError{"b", 1, "no command after the tag"})
		if first, err := r.Peek(); first != 'c' || err != nil {
			t.Fatalf("peeked %q, %v", first, err)
		}
		command("c", nil)
		command("d", nil)
		rest, err := io.ReadAll(io.MultiReader(bytes.NewReader(bytes.Clone(r.Buffered())), src))
		if string(rest) != "left over" || err != nil {
			t.Errorf("%q left over, %v", rest, err)
		}
	})
}

func TestReadSASL(t *testing.T) {
	for _, c := range []struct {
		input, want string
		err         error
	}{
		{"AHgAeQ==\r\n", "\x00x\x00y", nil},
		{"\n", "", nil},
		{"*\n", "", ErrCancelled},
		{"**\n", "", ErrBase64},
		{"=\n", "", ErrBase64},
		{"AHgAeQ\n", "", ErrBase64},
		{"AHgA\rAHgA\n", "", ErrBase64},
		{"AHgA\r\r\n", "", ErrBase64},
		{"AHgAeR==\n", "", ErrBase64}, // bits behind the end
		{" AHgA\n", "\x00x\x00", nil}, // servers pass over blanks
		{"AH gA\n", "\x00x\x00", nil},
		{"AH\tgA\n", "", ErrBase64},
		{"AHgA \r\n", "\x00x\x00", nil},
		{"* \n", "", ErrCancelled},
		{strings.Repeat("QUFB", 7) + "QQ=\n", "", ErrBase64},
		{strings.Repeat("QUFB", 7) + "\r\n", strings.Repeat("AAA", 7), nil},
		{strings.Repeat("Q", 31) + "\n", "", ErrBase64},
		{strings.Repeat("Q", 32) + "\n", "", &LimitError{"SASL response", 32}},
		{strings.Repeat("Q", 32), "", &LimitError{"SASL response", 32}},
		{"AHg", "", io.ErrUnexpectedEOF},
		{"", "", io.EOF},
	} {
		got, err := NewReader(strings.NewReader(c.input), testLimits).ReadSASL()
		sameError(t, err, c.err)
		if string(got) != c.want || err == nil && got == nil {
			t.Errorf("%q: %#v, want %q", c.input, got, c.want)
		}
	}
}

func TestDecodeInitialResponse(t *testing.T) {
	for _, c := range []struct {
		arg, want string
		err       error
	}{
		{"=", "", nil}, {"AHgAeQ==", "\x00x\x00y", nil}, {"*", "", ErrBase64}, {"==", "", ErrBase64},
		{"AHgA\r\n", "", ErrBase64},
	} {
		got, err := DecodeInitialResponse(c.arg)
		sameError(t, err, c.err)
		if string(got) != c.want || err == nil && got == nil {
			t.Errorf("%q: %#v, want %q", c.arg, got, c.want)
		}
	}
}

func TestPeek(t *testing.T) {
	r := NewReader(strings.NewReader("xa"), testLimits)
	for range 2 {
		if c, err := r.Peek(); c != 'x' || err != nil {
			t.Fatalf("peeked %q, %v", c, err)
		}
	}
	if string(r.Buffered()) != "xa" {
		t.Errorf("buffered %q", r.Buffered())
	}
	_, err := NewReader(strings.NewReader(""), testLimits).Peek()
	sameError(t, err, io.EOF)
}

func TestResetDropsWhatWasRead(t *testing.T) {
	r := NewReader(strings.NewReader("a STARTTLS\r\nb LOGIN evil mallory\r\n"), testLimits)
	if _, err := r.ReadCommand(nil); err != nil {
		t.Fatal(err)
	}
	plain := r.buf.data
	used := r.Used()
	if used != uint64(len("a STARTTLS\r\n")) {
		t.Errorf("%d bytes are used", used)
	}
	r.Reset(strings.NewReader("c NOOP\r\n"))
	if len(r.Buffered()) != 0 {
		t.Errorf("%q survived", r.Buffered())
	}
	if !wiped(plain[:cap(plain)]) {
		t.Errorf("not wiped: %q", plain)
	}
	if cmd, err := r.ReadCommand(nil); cmd.Tag != "c" || err != nil {
		t.Errorf("read %q, %v", cmd.Tag, err)
	}
	if r.Used() != used+uint64(len("c NOOP\r\n")) {
		t.Errorf("%d bytes are used, over both sources", r.Used())
	}
}

func wiped(p []byte) bool { return len(bytes.Trim(p, "\x00")) == 0 }

// No copy of a password stays behind, neither where it was read nor where it was before the buffer grew.
func TestUsedBytesAreWiped(t *testing.T) {
	secret := strings.Repeat("secret", firstRead/6)
	lim := Limits{Line: 8 * firstRead, Literal: 8 * firstRead, Command: 16 * firstRead}
	var seen [][]byte
	src := notingReader{strings.NewReader("a LOGIN x {1020}\n" + secret[:1020] + " " + secret + "\nb NOOP\n"), &seen}
	r := NewReader(src, lim)
	if _, err := r.ReadCommand(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadCommand(nil); err != nil {
		t.Fatal(err)
	}
	r.Reset(nil)
	if len(seen) < 2 {
		t.Fatal("the buffer has not grown")
	}
	for i, p := range seen {
		if !wiped(p) {
			t.Errorf("read %d left %q", i, p)
		}
	}
}

// notingReader notes the places that were read into.
type notingReader struct {
	io.Reader
	seen *[][]byte
}

func (r notingReader) Read(p []byte) (int, error) {
	*r.seen = append(*r.seen, p)
	return r.Reader.Read(p)
}

func TestSourceErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, src := range map[string]io.Reader{
		"at once":    iotest.ErrReader(broken),
		"in a line":  io.MultiReader(strings.NewReader("a NO"), iotest.ErrReader(broken)),
		"in literal": io.MultiReader(strings.NewReader("a X {5}\nab"), iotest.ErrReader(broken)),
	} {
		if _, err := NewReader(src, testLimits).ReadCommand(nil); err != broken {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewReader(silentReader{}, testLimits).ReadCommand(nil); err != io.ErrNoProgress {
		t.Errorf("a source that gives nothing: %v", err)
	}
}

type silentReader struct{}

func (silentReader) Read([]byte) (int, error) { return 0, nil }
