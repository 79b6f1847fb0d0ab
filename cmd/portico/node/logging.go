package node

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"portico/configs"
)

// logSink is where all log lines end up. Its level and format can change. It is asked twice: as a Sampler
// before a line is made, which spares making those that nobody wants, and as a LevelWriter for loggers that have a
// Sampler of their own.
type logSink struct {
	level    atomic.Int32
	mu       sync.Mutex
	out      io.Writer // json or console
	json     io.Writer
	console  io.Writer
	priority *priority // nil unless the lines go to systemd's journal
	batch    *batch
}

// priority puts a line's priority in front of it, as systemd reads it (sd-daemon(3)).
type priority struct {
	out   io.Writer
	level zerolog.Level // of the line that comes
}

// priorities are syslog's.
var priorities = map[zerolog.Level]byte{
	zerolog.PanicLevel: '2', zerolog.FatalLevel: '2', zerolog.ErrorLevel: '3', zerolog.WarnLevel: '4',
	zerolog.InfoLevel: '6', zerolog.DebugLevel: '7', zerolog.TraceLevel: '7',
}

// Write implements io.Writer. A line without a level has none here either: systemd takes it for information.
func (p *priority) Write(line []byte) (int, error) {
	digit, known := priorities[p.level]
	if !known {
		return p.out.Write(line)
	}
	n, err := p.out.Write(append([]byte{'<', digit, '>'}, line...))
	return max(n-3, 0), err
}

// newLog returns a logger that writes to out, and its sink. journal says that out is systemd's.
func newLog(out io.Writer, config configs.Log, journal bool) (zerolog.Logger, *logSink) {
	sink := &logSink{}
	sink.batch = &batch{out: out, flushing: sink.flush}
	terminal := isTerminal(out)
	out = sink.batch
	if journal {
		sink.priority = &priority{out: out, level: zerolog.NoLevel}
		out = sink.priority
	}
	sink.json, sink.console = out, zerolog.ConsoleWriter{Out: out, NoColor: !terminal, TimeFormat: "15:04:05.000"}
	sink.use(config)
	return zerolog.New(sink).Sample(sink).Hook(zerolog.HookFunc(stamp)), sink
}

// stamp adds the time with milliseconds, which zerolog's own stamp would leave out.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

// use puts another level and format in force for all loggers of this sink.
func (s *logSink) use(config configs.Log) {
	s.level.Store(int32(levels[config.Level]))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.json
	if inConsole[config.Format] {
		s.out = s.console
	}
}

// Sample implements zerolog.Sampler.
func (s *logSink) Sample(level zerolog.Level) bool { return int32(level) >= s.level.Load() }

// Write implements io.Writer, for lines without a level.
func (s *logSink) Write(line []byte) (int, error) { return s.write(zerolog.NoLevel, line, false) }

func (s *logSink) write(level zerolog.Level, line []byte, mayWait bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch.mayWait = mayWait
	if s.priority != nil {
		s.priority.level = level
	}
	return s.out.Write(line)
}

// WriteLevel implements zerolog.LevelWriter.
func (s *logSink) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if !s.Sample(level) {
		return len(line), nil
	}
	return s.write(level, line, false)
}

// toJournal tells whether a writer is the stream to systemd's journal, which JOURNAL_STREAM names: a file that is
// redirected elsewhere is not.
func toJournal(w io.Writer, stream string) bool {
	file, ok := w.(*os.File)
	return ok && stream != "" && identityOf(file) == stream
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
