package wire

import (
	"fmt"
	"slices"
	"testing"
)

// A trace is what a scanner said of a stream, one line an event, each with its offset in the stream, and where it
// ended. However the stream is cut, its trace is the same.

// offer hands a stream to a scanner in pieces, as a driver does: what a call leaves is offered again with more behind
// it. next takes the bytes at an offset, and says how many it used and whether it wants more. The bytes left at the
// end are returned.
func offer(pieces []string, next func(p []byte, at int) (used int, more bool)) (held int) {
	var pending []byte
	at := 0
	for _, piece := range pieces {
		pending = append(pending, piece...)
		for more := false; !more; {
			var used int
			used, more = next(pending, at)
			pending = pending[used:]
			at += used
		}
	}
	return len(pending)
}

// traceCommands scans what a client sends. For the tests' sake, a tag that begins with x has all its synchronising
// literals refused, and behind each IDLE comes an expected line.
func traceCommands(pieces ...string) (trace []string) {
	var s CommandScanner
	var current CommandHead
	var refused bool
	total := 0
	held := offer(pieces, func(p []byte, at int) (int, bool) {
		n, event, head := s.Next(p)
		at += n
		total = at
		switch event {
		case CommandMore:
			return n, true
		case CommandBegin:
			current, refused = head, p[n] == 'x'
			trace = append(trace, fmt.Sprintf("%d begin %s %s", at, p[n:n+head.TagLen], head.Verb))
		case CommandSync:
			trace = append(trace, fmt.Sprintf("%d sync", at))
			if refused {
				s.CancelLiteral()
			}
		case CommandNonSync:
			trace = append(trace, fmt.Sprintf("%d free", at))
		case CommandLiteral:
			trace = append(trace, fmt.Sprintf("%d literal", at))
		case CommandEnd, CommandLine:
			trace = append(trace, fmt.Sprintf("%d %s", at,
				map[CommandEvent]string{CommandEnd: "end", CommandLine: "line"}[event]))
			if event == CommandEnd && current.Verb == VerbIdle {
				s.ExpectLine()
			}
			current = CommandHead{}
		case CommandOdd, CommandLongTag:
			current, refused = head, false
			trace = append(trace, fmt.Sprintf("%d %s", at,
				map[CommandEvent]string{CommandOdd: "stray", CommandLongTag: "long tag"}[event]))
		}
		return n, false
	})
	return append(trace, ending(total, s.AtLineStart(), held))
}

// traceResponses scans what a server sends.
func traceResponses(pieces ...string) (trace []string) {
	var s ResponseScanner
	total := 0
	held := offer(pieces, func(p []byte, at int) (int, bool) {
		n, event, line := s.Next(p)
		total = at + n
		if event == ResponseMore {
			return n, true
		}
		trace = append(trace, describeResponse(total, event, line, string(p[n:])))
		return n, false
	})
	return append(trace, ending(total, s.AtLineStart(), held))
}

func describeResponse(at int, event ResponseEvent, line ResponseLine, p string) string {
	text := fmt.Sprint(at)
	switch event {
	case ResponseTagged:
		text += fmt.Sprintf(" tagged %s %s", p[line.Blank:][:line.TagLen], statusNames[line.Status])
	case ResponseContinue:
		text += " continue"
	case ResponseStatus:
		text += " status " + statusNames[line.Status]
	case ResponseGarbage:
		text += " garbage"
	}
	if line.Capabilities > 0 {
		text += fmt.Sprintf(", list of %d", line.Capabilities)
	}
	if line.Capabilities == ListTooLong {
		text += ", too long"
	}
	return text
}

func ending(at int, lineStart bool, held int) string {
	where := "inside"
	if lineStart {
		where = "line start"
	}
	return fmt.Sprintf("%d %s, %d held", at, where, held)
}

func eachByte(s string) (pieces []string) {
	for i := range len(s) {
		pieces = append(pieces, s[i:i+1])
	}
	return pieces
}

type scanCase struct {
	name   string
	stream string
	want   []string
}

// checkTraces compares traces of each case with what is wanted: uncut, cut everywhere, and (when short) cut at every
// two places.
func checkTraces(t *testing.T, cases []scanCase, trace func(...string) []string, reference func(string) []string) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			same := func(how string, got []string) {
				t.Helper()
				if !slices.Equal(got, c.want) {
					t.Fatalf("%s:\n got %q\nwant %q", how, got, c.want)
				}
			}
			same("uncut", trace(c.stream))
			same("by the reference", reference(c.stream))
			same("byte by byte", trace(eachByte(c.stream)...))
			if len(c.stream) > 200 {
				return
			}
			for i := range len(c.stream) + 1 {
				for j := i; j <= len(c.stream); j++ {
					same(fmt.Sprintf("cut at %d and %d", i, j), trace(c.stream[:i], c.stream[i:j], c.stream[j:]))
				}
			}
		})
	}
}
