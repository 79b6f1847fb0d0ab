package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// LogPanics returns a function that logs a panic with its value and stack, at most once a minute for each place in the
// code. It is for relay.Options.Panicked. The function never blocks, because a goroutine writes the line. It is safe
// for concurrent use.
func LogPanics(log zerolog.Logger, now func() time.Time) func(value any, stack []byte) {
	var logged LogLimiter[string] // by place: as many as the code has
	return func(value any, stack []byte) {
		location := panicLocation(stack)
		if leftOut, ok := logged.Due(location, now()); ok {
			text := fmt.Sprint(value) // now: it may change
			go log.Error().Int("left_out", leftOut).Str("panic", text).Str("place", location).Bytes("stack", stack).
				Msg("panic: connection closed")
		}
	}
}

// panicPlace returns the file and line that panicked, from a stack as debug.Stack returns it while the panic is being
// recovered: the first frame behind the latest call of panic that is not the runtime's. It returns "" if there is
// none.
func panicLocation(stack []byte) string {
	_, below, _ := bytes.Cut(stack, []byte("\npanic("))
	lines := strings.Split(string(below), "\n")
	for i := 2; i+1 < len(lines); i += 2 { // the first two are panic's own
		if !strings.HasPrefix(lines[i], "runtime.") {
			file, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " ")
			return file
		}
	}
	return ""
}
