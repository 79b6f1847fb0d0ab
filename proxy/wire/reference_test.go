package wire

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
)

// What the scanners have to say of a stream, found the slow and obvious way: the whole of it at hand, in plain
// expressions.

var (
	literalAtEnd = regexp.MustCompile(`\{([0-9]+)(\+?)\}\r?\z`)
	markerAtEnd  = regexp.MustCompile(`\{([0-9]+)(\+\}?\r?)\z`) // as far as it has come
	blanksAhead  = regexp.MustCompile(`\A[ \t]{0,64}`)
	wordAhead    = regexp.MustCompile(`\A {0,64}([A-Za-z]{0,15})`)
)

// literalOf finds the literal that a line, given without its LF, announces.
func literalOf(line string) (size int64, plus, found bool) {
	m := literalAtEnd.FindStringSubmatch(latin1(line))
	if m == nil {
		return 0, false, false
	}
	n, _ := new(big.Int).SetString(m[1], 10)
	if n.Cmp(big.NewInt(math.MaxInt64)) > 0 {
		return 0, false, false
	}
	return n.Int64(), m[2] == "+", true
}

// heldOf returns how much of a line that is not over is held back: the end of what may be a non-synchronising
// literal's marker.
func heldOf(line string) int {
	m := markerAtEnd.FindStringSubmatch(latin1(line))
	if m == nil || m[2] == "+\r" {
		return 0
	}
	if _, _, found := literalOf("{" + m[1] + "}"); !found {
		return 0
	}
	return len(m[2])
}

// latin1 makes each byte a character, so that expressions see bytes.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func tagAhead(s string) string {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`(){%*"\+`, s[i]) >= 0 {
			return s[:i]
		}
	}
	return s
}

// wordOf splits blanks, a word and what follows.
func wordOf(s string) (word, rest string) {
	m := wordAhead.FindStringSubmatchIndex(s)
	return strings.ToUpper(s[m[2]:m[3]]), s[m[3]:]
}

func isOneOf(s, set string) bool { return s != "" && strings.IndexByte(set, s[0]) >= 0 }

func referenceCommands(stream string) (trace []string) {
	say := func(at int, format string, args ...any) {
		trace = append(trace, fmt.Sprintf("%d "+format, append([]any{at}, args...)...))
	}
	at, expected := 0, false
	for at < len(stream) {
		rest := stream[at:]
		if expected {
			lf := strings.IndexByte(rest, '\n')
			if lf < 0 {
				return append(trace, ending(len(stream), false, 0))
			}
			at += lf + 1
			expected = false
			say(at, "line")
			continue
		}
		if rest[0] == '\n' {
			at++
			continue
		}
		if strings.HasPrefix(rest, "\r\n") {
			at += 2
			continue
		}
		kind, verb := referenceHead(rest)
		switch kind {
		case "held":
			return append(trace, ending(at, true, len(rest)))
		case "begin":
			say(at, "begin %s %s", tagAhead(rest), verb)
		default:
			say(at, "%s", kind)
		}
		refused := kind == "begin" && rest[0] == 'x'
		for over := false; !over; {
			lf := strings.IndexByte(stream[at:], '\n')
			if lf < 0 {
				held := heldOf(stream[at:])
				return append(trace, ending(len(stream)-held, false, held))
			}
			size, plus, found := literalOf(stream[at : at+lf])
			at += lf + 1
			switch {
			case !found:
				say(at, "end")
				over, expected = true, verb == "IDLE"
			case plus:
				say(at, "free")
			default:
				say(at, "sync")
				over = refused
			}
			if found && !over {
				if size > int64(len(stream)-at) {
					return append(trace, ending(len(stream), false, 0))
				}
				if at += int(size); size > 0 {
					say(at, "literal")
				}
			}
		}
	}
	return append(trace, ending(len(stream), true, 0))
}

// referenceHead tells what a line that is not blank begins with.
func referenceHead(rest string) (kind, verb string) {
	tag := tagAhead(rest)
	switch behind := rest[len(tag):]; {
	case rest == "\r":
		return "held", ""
	case len(tag) > 64:
		return "long tag", ""
	case behind == "":
		return "held", ""
	case tag == "", !isOneOf(behind, " \r\n"):
		return "stray", ""
	}
	word, behind := wordOf(rest[len(tag):])
	name := word
	if word == "UID" && isOneOf(behind, " ") {
		word, behind = wordOf(behind)
		name = "UID " + word
	}
	switch {
	case behind == "":
		return "held", ""
	case word == "" && behind[0] <= ' ' && !isOneOf(behind, "\r\n"):
		return "stray", ""
	case name == "COMPRESS", name == "STARTTLS", name == "UNAUTHENTICATE":
		return "begin", name
	case !isOneOf(behind, " \r\n"):
		return "begin", "other"
	}
	for v := VerbOther + 1; v < numVerbs; v++ {
		if v.String() == name {
			return "begin", name
		}
	}
	return "begin", "other"
}

func referenceResponses(stream string) (trace []string) {
	at := 0
	for at < len(stream) {
		rest := stream[at:]
		event, text := referenceResponse(rest)
		if event == "held" {
			return append(trace, ending(at, true, len(rest)))
		}
		if event != "" {
			trace = append(trace, fmt.Sprintf("%d %s", at, event))
		}
		for over := false; !over; {
			lf := strings.IndexByte(stream[at:], '\n')
			if lf < 0 {
				return append(trace, ending(len(stream), false, 0))
			}
			size, _, found := literalOf(stream[at : at+lf])
			at += lf + 1
			over = text || !found
			if !over {
				if size > int64(len(stream)-at) {
					return append(trace, ending(len(stream), false, 0))
				}
				at += int(size)
			}
		}
	}
	return append(trace, ending(len(stream), true, 0))
}

// referenceResponse tells the event at the start of a line, and whether the line is text, where no literal is
// announced.
func referenceResponse(rest string) (event string, text bool) {
	blank := len(blanksAhead.FindString(latin1(rest)))
	line := rest
	rest = rest[blank:]
	if isOneOf(rest, "+") {
		return "continue", true
	}
	tag := tagAhead(rest)
	if isOneOf(rest, "*") {
		tag = "*"
	}
	none := ""
	if c := line[0]; c != '\t' && c != '\r' && c != '\n' && (c < ' ' || c >= 0x7f) && c%2 == 0 {
		none = "garbage"
	}
	behind := rest[min(len(tag), len(rest)):]
	switch {
	case rest == "":
		return "held", true
	case tag == "", len(tag) > 64:
		return none, true
	case behind == "":
		return "held", true
	case behind[0] != ' ':
		return none, true
	}
	word, behind := wordOf(behind[1:])
	if behind == "" {
		return "held", true
	}
	status, list := "", false
	if isOneOf(behind, " \r\n") {
		switch word {
		case "CAPABILITY":
			list = true
		case "OK", "NO", "BAD", "BYE", "PREAUTH":
			status = word
		}
	}
	if tag != "*" && (status == "" || status == "PREAUTH") {
		return none, true
	}
	if status != "" {
		var bare string
		for i := 0; i < 64 && isOneOf(behind, " "); i++ {
			behind = behind[1:]
		}
		if behind == "" {
			return "held", true
		}
		if behind[0] == '[' {
			word, bare = wordOf(behind[1:])
			list = word == "CAPABILITY" && isOneOf(bare, " ")
			if bare == "" {
				return "held", true
			}
		}
	}
	noted := ""
	if list {
		lf := strings.IndexByte(line, '\n')
		switch {
		case lf >= 0 && lf < 8192:
			noted = fmt.Sprintf(", list of %d", lf+1)
		case len(line) < 8192:
			return "held", true
		default:
			noted = ", too long"
		}
	}
	switch {
	case tag != "*":
		return "tagged " + tag + " " + status + noted, true
	case list, status == "BYE", status == "BAD":
		return "status " + status + noted, true
	}
	return "", status != ""
}
