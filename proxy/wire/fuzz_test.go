package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxFuzz bounds the inputs worth trying: MaxCapabilityLine has to be passed, and not much more.
const maxFuzz = 20 << 10

// cutUp cuts a stream into pieces whose sizes cuts gives, over and over; 0 stands for a long one.
func cutUp(stream string, cuts []byte) (pieces []string) {
	for i := 0; stream != ""; i++ {
		size := len(stream)
		if len(cuts) > 0 && cuts[i%len(cuts)] > 0 {
			size = min(size, int(cuts[i%len(cuts)]))
		}
		pieces = append(pieces, stream[:size])
		stream = stream[size:]
	}
	return pieces
}

func FuzzCommandScanner(f *testing.F) {
	fuzzTraces(f, traceCommands, referenceCommands)
}

func FuzzResponseScanner(f *testing.F) {
	fuzzTraces(f, traceResponses, referenceResponses)
}

func fuzzTraces(f *testing.F, trace func(...string) []string, reference func(string) []string) {
	f.Fuzz(func(t *testing.T, stream string, cuts []byte) {
		if len(stream) > maxFuzz {
			return
		}
		want := reference(stream)
		for _, pieces := range [][]string{{stream}, cutUp(stream, cuts)} {
			if got := trace(pieces...); !slices.Equal(got, want) {
				t.Fatalf("pieces %q\n got %q\nwant %q", pieces, got, want)
			}
		}
	})
}

// pieceReader reads a stream in pieces and counts what was read.
type pieceReader struct {
	stream string
	cuts   []byte
	reads  int
	pos    int
}

func (r *pieceReader) Read(p []byte) (int, error) {
	if r.pos == len(r.stream) {
		return 0, io.EOF
	}
	if len(r.cuts) > 0 {
		if cut := int(r.cuts[r.reads%len(r.cuts)]); cut > 0 {
			p = p[:min(len(p), cut)]
		}
		r.reads++
	}
	n := copy(p, r.stream[r.pos:])
	r.pos += n
	return n, nil
}

// FuzzReader calls a Reader's methods in any order: what they give out is the stream, piece after piece, within the
// limits.
func FuzzReader(f *testing.F) {
	lim := Limits{Line: 200, Literal: 600, Command: 1500, SASL: 2000}
	f.Fuzz(func(t *testing.T, stream string, cuts, calls []byte) {
		if len(stream) > maxFuzz || len(calls) > maxFuzz {
			return
		}
		src := &pieceReader{stream: stream, cuts: cuts}
		r := NewReader(src, lim)
		at := 0 // in the stream: up to here it was given out
		for _, call := range calls {
			err := fuzzCall(t, r, src, call%5)
			if most := 2 * (lim.SASL + maxTag + maxName + lim.Line); cap(r.buf.data) > most {
				t.Fatalf("%d bytes of memory, at most %d are needed", cap(r.buf.data), most)
			}
			var limit *LimitError
			if errors.As(err, &limit) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			given := r.buf.data[:r.buf.used]
			now := src.pos - len(r.Buffered())
			if call%5 == 4 { // Reset
				at = now
			}
			if string(given)+string(r.Buffered()) != stream[at:src.pos] {
				t.Fatalf("gave out %q and keeps %q of %q", given, r.Buffered(), stream[at:src.pos])
			}
			at = now
		}
	})
}

func fuzzCall(t *testing.T, r *Reader, src *pieceReader, call byte) error {
	switch call {
	case 0, 1:
		asked := 0
		proceed := func(Command) error { asked++; return nil }
		if call == 0 {
			proceed = nil
		}
		cmd, err := r.ReadCommand(proceed)
		if err == nil {
			lim := r.lim
			if cmd.Verb == VerbAuthenticate || cmd.Verb == VerbID {
				lim.Line = lim.SASL + maxTag + maxName
				lim.Command = lim.Line
			}
			checkCommand(t, string(cmd.Args.raw), lim, asked, proceed != nil)
			readAll(cmd.Args)
		}
		return err
	case 2:
		out, err := r.ReadSASL()
		if line := string(r.buf.data[:r.buf.used]); err == nil &&
			base64.StdEncoding.EncodeToString(out) != strings.TrimRight(strings.TrimRight(line, "\r\n"), " ") {
			t.Fatalf("%q decoded to %q", line, out)
		}
		return err
	case 3:
		first, err := r.Peek()
		if err == nil && first != r.Buffered()[0] {
			t.Fatalf("peeked %q of %q", first, r.Buffered())
		}
		return err
	}
	r.Reset(src)
	return nil
}

// checkCommand walks through a command the slow way.
func checkCommand(t *testing.T, raw string, lim Limits, asked int, counted bool) {
	t.Helper()
	if len(raw) > lim.Command {
		t.Fatalf("a command of %d bytes", len(raw))
	}
	syncs := 0
	for rest := raw; ; {
		line, behind, ok := strings.Cut(rest, "\n")
		if !ok || len(line)+1 > lim.Line {
			t.Fatalf("line %q in %q", line, raw)
		}
		size, plus, found := literalOf(line)
		if !found {
			if behind != "" {
				t.Fatalf("%q behind the command's end", behind)
			}
			break
		}
		if !plus {
			syncs++
		}
		if size > int64(lim.Literal) || size > int64(len(behind)) {
			t.Fatalf("literal of %d bytes in %q", size, raw)
		}
		rest = behind[size:]
	}
	if counted && asked != syncs {
		t.Fatalf("asked %d times to go on for %d literals", asked, syncs)
	}
}

// readAll reads arguments until nothing more can be read.
func readAll(a Args) {
	for {
		_, atom := a.Atom()
		_, nstring := a.NString()
		_, astring := a.Astring()
		if !atom && !nstring && !astring && !a.Space() && !a.Open() && !a.Close() {
			return
		}
	}
}

var (
	listLine   = regexp.MustCompile(`(?i)\A[ \t]*\* +CAPABILITY`)
	namesPlain = regexp.MustCompile(`[^ \r\n]+|[ \r\n]`)
	namesCoded = regexp.MustCompile(`[^] \r\n]+|[] \r\n]`)
)

// FuzzFilterCapabilities: the output is the input without hidden names and their blanks, and filtering it again
// changes nothing.
func FuzzFilterCapabilities(f *testing.F) {
	f.Fuzz(func(t *testing.T, line []byte) {
		out, offered := AppendFilteredCapabilities(nil, line)
		again, offeredAgain := AppendFilteredCapabilities(nil, out)
		if !bytes.Equal(again, out) || offeredAgain {
			t.Fatalf("%q becomes %q becomes %q", line, out, again)
		}
		tokens := namesCoded
		if listLine.Match(line) {
			tokens = namesPlain
		}
		rest, hidden := tokens.FindAll(out, -1), false
		for _, token := range tokens.FindAll(line, -1) {
			if len(rest) > 0 && bytes.Equal(rest[0], token) {
				rest = rest[1:]
				continue
			}
			name := strings.ToUpper(latin1(string(token)))
			gone := name == "UNAUTHENTICATE" || strings.HasPrefix(name, "COMPRESS=")
			if hidden = hidden || gone; !gone && name != "STARTTLS" && name != " " {
				t.Fatalf("%q lost %q: %q", line, token, out)
			}
		}
		if len(rest) > 0 || offered != hidden {
			t.Fatalf("%q became %q, offered %v", line, out, offered)
		}
	})
}
