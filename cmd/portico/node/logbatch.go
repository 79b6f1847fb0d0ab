package node

import (
	"io"
	"time"

	"github.com/rs/zerolog"
)

// Bounds of the lines that are written together: a session has two, and each write of its own costs as much as four
// reads of a socket.
const (
	batchWaits = 50 * time.Millisecond
	batchSize  = 32 << 10 // bytes
)

// batch collects lines that may wait, and writes them together: after batchWaits, when they are batchSize long, or in
// front of a line that may not wait. So lines keep their order. Its sink guards it.
type batch struct {
	out      io.Writer
	lines    []byte
	due      *time.Timer // calls flushing; nil before the first line
	flushing func()
	mayWait  bool // the line that comes
}

// Write implements io.Writer.
func (b *batch) Write(line []byte) (int, error) {
	if !b.mayWait && len(b.lines) == 0 {
		return b.out.Write(line)
	}
	if len(b.lines) == 0 {
		b.arm()
	}
	b.lines = append(b.lines, line...)
	if b.mayWait && len(b.lines) < batchSize {
		return len(line), nil
	}
	return len(line), b.flush()
}

func (b *batch) arm() {
	if b.due == nil {
		b.due = time.AfterFunc(batchWaits, b.flushing)
		return
	}
	b.due.Reset(batchWaits)
}

func (b *batch) flush() error {
	if len(b.lines) == 0 {
		return nil
	}
	_, err := b.out.Write(b.lines)
	b.lines = b.lines[:0]
	return err
}

// patient is a sink for the lines that come with each session: information may wait for others, as [batch] has it.
type patient struct{ *logSink }

// WriteLevel implements zerolog.LevelWriter.
func (p patient) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if !p.Sample(level) {
		return len(line), nil
	}
	return p.write(level, line, level <= zerolog.InfoLevel)
}

// patient returns log with lines that may wait.
func (s *logSink) patient(log zerolog.Logger) zerolog.Logger { return log.Output(patient{s}) }

// flush writes what waits.
func (s *logSink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch.flush()
}
