package main

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"portico/configs"
)

// logSink is where all log lines end up. Its level can change while the program runs. It is asked twice: as a Sampler before a line is made, which
// spares making those that nobody wants, and as a LevelWriter for loggers that have a Sampler of their own.
type logSink struct {
	level atomic.Int32
	mu    sync.Mutex
	out   io.Writer
}

// newLog returns a logger that writes to out, and its sink.
func newLog(out io.Writer, config configs.Log) (zerolog.Logger, *logSink) {
	if config.Format == configs.LogConsole {
		out = zerolog.ConsoleWriter{Out: out, NoColor: !isTerminal(out), TimeFormat: "15:04:05.000"}
	}
	sink := &logSink{out: out}
	sink.setLevel(config.Level)
	return zerolog.New(sink).Sample(sink).Hook(zerolog.HookFunc(stamp)), sink
}

// stamp adds the time with milliseconds, which zerolog's own stamp would leave out.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

// setLevel puts another level in force for all loggers of this sink.
func (s *logSink) setLevel(level configs.LogLevel) {
	s.level.Store(int32(levels[level]))
}

var levels = map[configs.LogLevel]zerolog.Level{
	configs.LogDebug: zerolog.DebugLevel,
	configs.LogInfo:  zerolog.InfoLevel,
	configs.LogWarn:  zerolog.WarnLevel,
	configs.LogError: zerolog.ErrorLevel,
}

// Sample implements zerolog.Sampler.
func (s *logSink) Sample(level zerolog.Level) bool { return int32(level) >= s.level.Load() }

// Write implements io.Writer, for lines without a level.
func (s *logSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(line)
}

// WriteLevel implements zerolog.LevelWriter.
func (s *logSink) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if !s.Sample(level) {
		return len(line), nil
	}
	return s.Write(line)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
