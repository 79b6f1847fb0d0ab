package protolog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// maxQueue is how many chunks wait for the disk.
	maxQueue = 64
	// retryTime is the pause after a failure.
	retryTime = time.Second
	// prunePeriod is how often old files are pruned.
	prunePeriod = time.Minute
)

// writer writes chunks to files in a goroutine of its own, so that nobody else waits for the disk. A file has only
// whole rows: if the disk fails in the middle of a row, the writer removes the part. A line in the file says how many
// rows are lost there.
type writer struct {
	now     func() time.Time
	log     zerolog.Logger
	version string
	counts  *counts
	in      chan Rows
	foreign chan Rows   // of other processes
	turns   chan turned // see turn
	ended   chan struct{}
	free    chan []byte   // for the next chunks
	changed chan struct{} // holds one: settings has changed
	writeAt func(f *os.File, p []byte, at int64) (int, error)
	packing atomic.Bool // files are being compressed
	packers sync.WaitGroup

	mu       sync.Mutex // guards what follows
	settings FileSettings
	failing  error
	since    time.Time
	current  string

	// What follows belongs to run's goroutine.
	set      FileSettings
	file     *os.File
	name     fileName
	format   Format
	size     int64
	retry    time.Time // no attempt before this time
	prunedAt time.Time // when prune last ran
	lost     uint64    // rows that no line in a file reports yet
	way      way       // of rows
}

func newWriter(opt Options, c *counts) *writer {
	return &writer{
		now: opt.Now, log: opt.Log, version: opt.Version, counts: c, settings: opt.Settings.Files,
		in: make(chan Rows, maxQueue), foreign: make(chan Rows, maxQueue), turns: make(chan turned),
		ended: make(chan struct{}),
		free:  make(chan []byte, maxQueue), changed: make(chan struct{}, 1),
		writeAt: (*os.File).WriteAt,
	}
}

// configure puts other settings in force.
func (w *writer) configure(s FileSettings) {
	w.mu.Lock()
	w.settings = s
	w.mu.Unlock()
	signal(w.changed)
}

func (w *writer) location() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settings.Location
}

// status fills in the fields about files.
func (w *writer) status(s *Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.File = w.current
	if w.failing != nil {
		s.Failing, s.Since = w.failing.Error(), w.since
	}
}

// buffer returns memory for a chunk, used again if possible.
func (w *writer) buffer() []byte {
	select {
	case data := <-w.free:
		return data[:0]
	default:
		return make([]byte, 0, chunkSize+chunkSize/4)
	}
}

// run writes until in is closed.
func (w *writer) run() {
	w.applySettings()
	ticker := time.NewTicker(retryTime)
	defer ticker.Stop()
	defer close(w.ended)
	defer w.packers.Wait()
	defer w.finishFile()
	for {
		in := w.in
		if w.way.held {
			in = nil
		}
		select {
		case c, more := <-in:
			if !more {
				return
			}
			w.pass(c)
			select {
			case w.free <- c.Text:
			default:
			}
		case c := <-w.foreign:
			w.pass(c)
		case t := <-w.turns:
			w.take(t)
		case <-w.changed:
			w.applySettings()
		case <-ticker.C:
			if w.way.toFiles() {
				w.checkFiles()
			}
		}
	}
}

// applySettings puts the latest settings in force. If the folder changes, it finishes the current file.
func (w *writer) applySettings() {
	w.mu.Lock()
	before := w.set
	w.set = w.settings
	w.mu.Unlock()
	if before.Location != w.set.Location && w.way.toFiles() {
		w.finishFile()
		if err := repair(w.set.Location); err != nil {
			w.log.Error().Err(err).Msg("cannot repair the protocol log's files")
		}
	}
	w.retry, w.prunedAt = time.Time{}, time.Time{}
}

// checkFiles does what must not wait for a row: it finishes a file whose period is over or that was replaced, and
// prunes old files.
func (w *writer) checkFiles() {
	now := w.now()
	if w.file != nil && (w.periodIsOver(now) || w.isReplaced()) {
		w.finishFile()
	}
	if now.Sub(w.prunedAt) >= prunePeriod && !w.packing.Load() {
		w.prunedAt = now
		w.prune(now)
	}
}

// periodIsOver says whether the file's period is over.
func (w *writer) periodIsOver(now time.Time) bool {
	return w.set.FileSize == 0 && w.name.stamp < w.set.RollOver.start(now).Format(stampForm)
}

// isReplaced says whether the open file is not the file with its name any more, or was cut.
func (w *writer) isReplaced() bool {
	there, err := os.Stat(filepath.Join(w.set.Location, w.name.String()))
	if err != nil {
		return true
	}
	ours, err := w.file.Stat()
	return err != nil || !os.SameFile(there, ours) || ours.Size() < w.size
}

// write writes a chunk, or counts it as lost.
func (w *writer) write(c Rows) {
	w.lost += c.Lost
	now := w.now()
	if now.Before(w.retry) {
		w.drop(c)
		return
	}
	err := w.openFile(c.Format, now)
	if err == nil {
		err = w.append(c)
	}
	if err != nil {
		w.drop(c)
		w.noteFailure(err, now)
		return
	}
	w.lost = 0
	w.counts.rows.Add(uint64(c.Number))
	w.noteSuccess()
}

func (w *writer) drop(c Rows) {
	w.lost += uint64(c.Number)
	w.counts.dropped[dropDisk].Add(uint64(c.Number))
}

// openFile makes the right file the current one, and opens it.
func (w *writer) openFile(format Format, now time.Time) error {
	if w.file != nil && (w.format != format || w.periodIsOver(now) || w.set.FileSize > 0 && w.size >= w.set.FileSize) {
		w.finishFile()
	}
	if w.file != nil {
		return nil
	}
	if err := os.Mkdir(w.set.Location, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	name, goOn, err := pick(w.set.Location, w.set, format, now)
	if err != nil {
		return err
	}
	path := filepath.Join(w.set.Location, name.String())
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if goOn {
		if err := cutTorn(path); err != nil {
			return err
		}
		flags = os.O_WRONLY
	}
	file, err := os.OpenFile(path, flags, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	w.file, w.name, w.format, w.size = file, name, format, info.Size()
	w.mu.Lock()
	w.current = path
	w.mu.Unlock()
	w.prunedAt = time.Time{} // there is one file more
	if w.size == 0 && format == CSV {
		return w.put(header(w.version, now))
	}
	return nil
}

// header returns the first lines of a file.
func header(version string, now time.Time) []byte {
	return fmt.Appendf(nil, "#Software: Portico\n#Version: %s\n#Log-type: IMAP4 Log\n#Date: %s\n#Fields: %s\n",
		version, now.UTC().Format(timeForm), strings.Join(Fields[:], ","))
}

// append writes a chunk. If rows before it are lost, it first writes a line that says so.
func (w *writer) append(c Rows) error {
	if w.lost > 0 {
		if err := w.put(lostLine(c.Format, w.lost)); err != nil {
			return err
		}
		w.lost = 0
	}
	return w.put(c.Text)
}

// lostLine returns the line that says how many rows are missing.
func lostLine(f Format, n uint64) []byte {
	if f == JSON {
		return fmt.Appendf(nil, "{\"lost\":%d}\n", n)
	}
	return fmt.Appendf(nil, "#Lost: %d rows\n", n)
}

// LostLine returns the line that tells somebody who watches how many rows are missing.
func LostLine(f Format, n uint64) []byte { return lostLine(f, n) }

// put writes all of p or nothing. After a failure it cuts the file, because the count that WriteAt returns may be
// wrong.
func (w *writer) put(p []byte) error {
	if _, err := w.writeAt(w.file, p, w.size); err != nil {
		return errors.Join(err, w.file.Truncate(w.size))
	}
	w.size += int64(len(p))
	return nil
}

// noteFailure records that nothing can be written. The program's log gets a line when that begins, and one when it
// ends.
func (w *writer) noteFailure(err error, now time.Time) {
	w.retry = now.Add(retryTime)
	w.counts.failures.Add(1)
	w.closeFile()
	w.mu.Lock()
	first := w.failing == nil
	if w.failing = err; first {
		w.since = now
	}
	w.mu.Unlock()
	if first {
		w.log.Error().Err(err).Msg("cannot write the protocol log: rows are dropped, sessions continue")
	}
}

func (w *writer) noteSuccess() {
	w.mu.Lock()
	failed, since := w.failing != nil, w.since
	w.failing = nil
	w.mu.Unlock()
	if failed {
		w.log.Warn().Time("since", since).Msg("protocol log writable again")
	}
}

// closeFile closes the current file.
func (w *writer) closeFile() {
	if w.file == nil {
		return
	}
	w.file.Close()
	w.file = nil
	w.mu.Lock()
	w.current = ""
	w.mu.Unlock()
}

// finishFile closes a file that gets no more rows, and makes pruning due.
func (w *writer) finishFile() {
	w.closeFile()
	w.prunedAt = time.Time{}
}
