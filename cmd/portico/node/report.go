package node

import (
	"strings"
	"time"

	"github.com/rs/zerolog"

	"portico/proxy"
)

// nodeLog is the log of one Portico. It is safe for concurrent use.
type nodeLog struct {
	zerolog.Logger
	sink     *logSink
	reported proxy.LogLimiter[string] // by text
}

// report logs an error that stops nothing. While a fault lasts, it writes the line once a minute.
func (l *nodeLog) report(what string, err error) {
	leftOut, due := l.reported.Due(what+": "+withoutNumbers(err.Error()), time.Now())
	if !due {
		return
	}
	event := l.Error().Err(err)
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	event.Msg(what)
}

// reporter returns a function that reports errors of one kind.
func (l *nodeLog) reporter(what string) func(error) { return func(err error) { l.report(what, err) } }

// withoutNumbers makes one text of errors that differ in numbers only, such as those of files and revisions.
func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}
