package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// Kind classifies an error. Every error of a report has a kind.
type Kind uint8

// The kinds of errors. With KindCount to KindBad the connection can still be used, and the session continues on it.
const (
	KindConnect    Kind = iota // no connection
	KindTLS                    // no TLS on it
	KindGreeting               // no greeting, or a greeting that refuses the connection
	KindSignIn                 // sign-in refused
	KindDropped                // the server ended the connection
	KindTimeout                // no answer in time
	KindProtocol               // bytes that are not IMAP: endless lines, no CR LF, a response that cannot be read
	KindTag                    // an answer to a command that was not under way
	KindCount                  // an impossible number of messages
	KindUID                    // a UID that was not asked for, or that is another message's
	KindFlags                  // other flags than those that were set
	KindLiteral                // a body of another length than the message's
	KindChecksum               // a body with other bytes than the message's
	KindMissing                // an answer without the data asked for
	KindRemains                // a mailbox that is there after its DELETE
	KindRefused                // NO
	KindBad                    // BAD
	KindUnfinished             // no answer, and the run was over
	KindNeverBegun             // an operation that was due, and that its session could not begin
	KindNothing                // no operation was done at all
	numKinds
)

var kindNames = [numKinds]string{
	"connect", "tls", "greeting", "sign-in", "dropped", "time-out", "protocol", "wrong tag", "wrong count",
	"wrong UID",
	"wrong flags", "wrong length", "wrong checksum", "missing data", "not removed", "NO", "BAD",
	"unfinished", "never begun", "nothing done",
}

// String returns the kind's name in reports.
func (k Kind) String() string { return kindNames[k] }

// keeps reports whether the connection can still be used.
func (k Kind) keeps() bool { return k >= KindCount && k <= KindBad }

// failure is an error with its kind and what the session was doing.
type failure struct {
	kind Kind
	row  row
	err  error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %s: %v", f.row, f.kind, f.err) }

func (f *failure) Unwrap() error { return f.err }

func failed(kind Kind, r row, format string, args ...any) *failure {
	return &failure{kind, r, fmt.Errorf(format, args...)}
}

// unfinished is the error of something that the end of a run has cut.
func unfinished(r row, waited time.Duration) *failure {
	return failed(KindUnfinished, r, "no answer in %s, and the run was over", micros(waited.Microseconds()))
}

// broken classifies the error of a read or write.
func broken(r row, err error) *failure {
	var netErr net.Error
	var known *failure
	switch {
	case errors.As(err, &known):
		return &failure{known.kind, r, known.err}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return &failure{KindTimeout, r, errors.New("no answer in time")}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{KindDropped, r, errors.New("the server closed the connection")}
	}
	return &failure{KindDropped, r, err}
}

// maxShown is how many bytes of a server's text a report shows.
const maxShown = 160

// shown prepares a server's text for a report: printable, short, and without the password.
func shown(text string, hidden credential) string {
	text = hidden.hide(text)
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return cut(text)
}

// cut bounds a text for a report.
func cut(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	return text
}
