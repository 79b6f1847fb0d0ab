package backendtest

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A script is a dialogue, one step a line; empty lines and lines that begin with #
// say nothing.
//
//	S: * OK hello          send this line; ${name} stands for what was captured
//	C: ${tag} LOGIN * *    read a line and want it to look like this: * stands for
//	                       anything; ${name} captures a word the first time and
//	                       stands for it later; ${tag} captures a new one each time
//	raw "* OK cut"         send these bytes, as one write; Go's escapes, ${name} too
//	split                  send the next S or raw byte by byte
//	send 5120              send that many bytes of filler
//	expect 5120            read that many bytes
//	sleep 50ms             wait
//	mark NAME              tell Scripted.Reached
//	wait NAME              wait for Scripted.Signal
//	starttls               read STARTTLS, answer OK, do the handshake
//	starttls "* BAD x\r\n" the same with these bytes in one write behind the OK
//	tls                    do the handshake now
//	answer-all             from here on answer all lines with OK, LOGOUT with BYE
//	eof                    want the client to close
//	silent                 read and never answer, until the client closes
//	stall                  neither read nor write, until the server is closed
//	half-close             send no more; reading goes on
//	close                  close at once
//	reset                  close by a TCP reset
//
// PREAUTH is an ordinary S line; silent as the first step hangs before the greeting,
// and instead of tls it hangs in the handshake. Answers out of order take tags under
// names: "C: ${t1} NOOP", "C: ${t2} NOOP", "S: ${t2} OK", "S: ${t1} OK". After the last
// step the server half-closes and reads what still comes.
type script []step

// step is one line of a script.
type step struct {
	line int // in the script's text, from 1
	verb string
	text string // what S, C, raw and starttls say; a name
	n    int64
	wait time.Duration
}

// argument says what a verb wants behind it.
type argument int

const (
	argNone argument = iota
	argLine
	argQuoted
	argQuotedOrNone
	argName
	argCount
	argDuration
)

func verbArgument(verb string) (argument, bool) {
	switch verb {
	case "S:", "C:":
		return argLine, true
	case "raw":
		return argQuoted, true
	case "starttls":
		return argQuotedOrNone, true
	case "mark", "wait":
		return argName, true
	case "send", "expect":
		return argCount, true
	case "sleep":
		return argDuration, true
	}
	plain := []string{"split", "tls", "answer-all", "eof", "silent", "stall", "half-close", "close", "reset"}
	return argNone, slices.Contains(plain, verb)
}

// parseScript reads a script; the error names the line.
func parseScript(text string) (script, error) {
	var s script
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(lines.Text(), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		st, err := parseStep(verb, rest)
		if err != nil {
			return nil, fmt.Errorf("script line %d: %w", n, err)
		}
		st.line = n
		s = append(s, st)
	}
	return s, lines.Err()
}

func parseStep(verb, rest string) (step, error) {
	st := step{verb: verb, text: rest}
	kind, known := verbArgument(verb)
	if !known {
		return st, fmt.Errorf("unknown step %q", verb)
	}
	if kind != argLine {
		rest = strings.TrimSpace(rest)
		st.text = rest
	}
	var err error
	switch kind {
	case argNone:
		if rest != "" {
			err = fmt.Errorf("%s takes nothing, got %q", verb, rest)
		}
	case argQuotedOrNone:
		if rest != "" {
			st.text, err = strconv.Unquote(rest)
		}
	case argQuoted:
		st.text, err = strconv.Unquote(rest)
	case argName:
		if rest == "" || strings.Contains(rest, " ") {
			err = fmt.Errorf("%s wants one name, got %q", verb, rest)
		}
	case argCount:
		st.n, err = strconv.ParseInt(rest, 10, 64)
		if err == nil && st.n < 0 {
			err = fmt.Errorf("%s wants a count, got %d", verb, st.n)
		}
	case argDuration:
		st.wait, err = time.ParseDuration(rest)
	}
	if err != nil {
		return st, fmt.Errorf("%s: %w", verb, err)
	}
	return st, nil
}

// words are what a script captured.
type words map[string]string

// tagWord is captured again by each client line that names it.
const tagWord = "tag"

// fill puts the captured words into text.
func (w words) fill(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		value, known := w[name]
		if !closed || !known {
			return "", fmt.Errorf("nothing was captured as ${%s}", name)
		}
		b.WriteString(value)
		text = after
	}
}

// match reports whether the line looks like the pattern, and captures words.
func (w words) match(pattern, line string) bool {
	i := strings.IndexAny(pattern, "*$")
	if i < 0 {
		return pattern == line
	}
	if !strings.HasPrefix(line, pattern[:i]) {
		return false
	}
	pattern, line = pattern[i:], line[i:]
	if pattern[0] == '*' {
		for n := 0; n <= len(line); n++ {
			if w.match(pattern[1:], line[n:]) {
				return true
			}
		}
		return false
	}
	name, rest, ok := strings.Cut(strings.TrimPrefix(pattern, "${"), "}")
	if !ok || !strings.HasPrefix(pattern, "${") {
		return line != "" && line[0] == '$' && w.match(pattern[1:], line[1:])
	}
	if value, known := w[name]; known && name != tagWord {
		after, found := strings.CutPrefix(line, value)
		return found && w.match(rest, after)
	}
	word, _, _ := strings.Cut(line, " ")
	if word == "" || !w.match(rest, line[len(word):]) {
		return false
	}
	w[name] = word
	return true
}
