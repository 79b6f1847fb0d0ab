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

// Kind says what was wrong; every error of a report has one.
type Kind uint8

// The kinds of errors. From KindCount to KindBad the connection is still good, and the session goes on with it.
const (
	KindConnect    Kind = iota // no connection
	KindTLS                    // no TLS on it
	KindGreeting               // no greeting, or none that lets anybody in
	KindSignIn                 // sign-in refused
	KindDropped                // the server ended the connection
	KindTimeout                // no answer in time
	KindProtocol               // bytes that are not IMAP: endless lines, no CR LF, a response that cannot be read
	KindTag                    // an answer to a command that was not under way
	KindCount                  // a number of messages that cannot be
	KindUID                    // a UID that was not asked for, or that is another message's
	KindFlags                  // flags that are not those set
	KindLiteral                // a body of another length than the message's
	KindChecksum               // a body with other bytes than the message's
	KindMissing                // an answer without the data asked for
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
	"wrong flags", "wrong length", "wrong checksum", "missing data", "NO", "BAD",
	"unfinished", "never begun", "nothing done",
}

// String names the kind as reports do.
func (k Kind) String() string { return kindNames[k] }

// keeps reports whether the connection is still good.
func (k Kind) keeps() bool { return k >= KindCount && k <= KindBad }

// failure is an error with its kind and what was going on.
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

// unfinished is the error of what the end of a run has cut.
func unfinished(r row, waited time.Duration) *failure {
	return failed(KindUnfinished, r, "no answer in %s, and the run was over", micros(waited.Microseconds()))
}

// broken tells from a read's or write's error what became of the connection.
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

// maxShown bounds what is shown of a server's words.
const maxShown = 160

// shown makes a server's words fit for a report: printable, bounded, and without the password.
func shown(text string, hidden credential) string {
	text = hidden.hide(text)
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	return text
}
