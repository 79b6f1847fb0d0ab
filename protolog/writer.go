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

// chunk is whole rows on their way to the disk.
type chunk struct {
	data   []byte
	rows   int
	lost   uint64 // rows that were dropped in front of these
	format Format
}

const (
	// maxQueue is how many chunks wait for the disk.
	maxQueue = 64
	// retryTime is how long nothing is tried after a failure.
	retryTime = time.Second
	// keepPeriod is how often old files are looked for.
	keepPeriod = time.Minute
)

// writer writes chunks to files in a goroutine of its own, which alone waits for the disk. A file never has a row that
// is not whole: what a failing disk has taken of one is taken back, and what is lost is told by a line in its place.
type writer struct {
	now     func() time.Time
	log     zerolog.Logger
	version string
	counts  *counts
	in      chan chunk
	free    chan []byte   // for the next chunks
	changed chan struct{} // holds one: there are other settings
	writeAt func(f *os.File, p []byte, at int64) (int, error)
	packing atomic.Bool // files are being compressed
	packers sync.WaitGroup

	mu       sync.Mutex // guards what follows
	settings FileSettings
	failing  error
	since    time.Time
	current  string

	// What follows belongs to run's goroutine.
	set    FileSettings
	file   *os.File
	name   fileName
	format Format
	size   int64
	retry  time.Time // nothing is tried before
	kept   time.Time // when old files were looked for
	lost   uint64    // rows that no line tells of yet
}

func newWriter(opt Options, c *counts) *writer {
	return &writer{
		now: opt.Now, log: opt.Log, version: opt.Version, counts: c, settings: opt.Settings.Files,
		in: make(chan chunk, maxQueue), free: make(chan []byte, maxQueue), changed: make(chan struct{}, 1),
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

// status adds what is known of the files.
func (w *writer) status(s *Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.File = w.current
	if w.failing != nil {
		s.Failing, s.Since = w.failing.Error(), w.since
	}
}

// room returns memory for a chunk.
func (w *writer) room() []byte {
	select {
	case data := <-w.free:
		return data[:0]
	default:
		return make([]byte, 0, chunkSize+chunkSize/4)
	}
}

// run writes until in is closed.
func (w *writer) run() {
	w.use()
	ticker := time.NewTicker(retryTime)
	defer ticker.Stop()
	defer w.packers.Wait()
	defer w.close()
	for {
		select {
		case c, more := <-w.in:
			if !more {
				return
			}
			w.write(c)
			select {
			case w.free <- c.data:
			default:
			}
		case <-w.changed:
			w.use()
		case <-ticker.C:
			w.look()
		}
	}
}

// use takes the settings that are in force. A file that was written to under others is done.
func (w *writer) use() {
	w.mu.Lock()
	before := w.set
	w.set = w.settings
	w.mu.Unlock()
	if before.Location != w.set.Location {
		w.close()
		if err := repair(w.set.Location); err != nil {
			w.log.Error().Err(err).Msg("cannot repair the protocol log's files")
		}
	}
	w.retry, w.kept = time.Time{}, time.Time{}
}

// look sees to what needs no row: a file whose time is over, or that is gone, and old files.
func (w *writer) look() {
	now := w.now()
	if w.file != nil && (w.over(now) || w.gone()) {
		w.close()
	}
	if now.Sub(w.kept) >= keepPeriod && !w.packing.Load() {
		w.kept = now
		w.keep(now)
	}
}

// over says whether the file's period is over.
func (w *writer) over(now time.Time) bool {
	return w.set.FileSize == 0 && w.name.stamp < w.set.RollOver.start(now).Format(stampForm)
}

// gone says whether the file is no longer what its name stands for.
func (w *writer) gone() bool {
	there, err := os.Stat(filepath.Join(w.set.Location, w.name.String()))
	if err != nil {
		return true
	}
	ours, err := w.file.Stat()
	return err != nil || !os.SameFile(there, ours) || ours.Size() < w.size
}

// write writes a chunk, or counts it as lost.
func (w *writer) write(c chunk) {
	w.lost += c.lost
	now := w.now()
	if now.Before(w.retry) {
		w.drop(c)
		return
	}
	err := w.ready(c.format, now)
	if err == nil {
		err = w.append(c)
	}
	if err != nil {
		w.drop(c)
		w.fail(err, now)
		return
	}
	w.lost = 0
	w.counts.rows.Add(uint64(c.rows))
	w.works()
}

func (w *writer) drop(c chunk) {
	w.lost += uint64(c.rows)
	w.counts.dropped[dropDisk].Add(uint64(c.rows))
}

// ready has the right file open.
func (w *writer) ready(format Format, now time.Time) error {
	if w.file != nil && (w.format != format || w.over(now) || w.set.FileSize > 0 && w.size >= w.set.FileSize) {
		w.close()
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
	w.kept = time.Time{} // there is one more
	if w.size == 0 && format == CSV {
		return w.put(header(w.version, now))
	}
	return nil
}

// header is what a file of rows begins with.
func header(version string, now time.Time) []byte {
	return fmt.Appendf(nil, "#Software: Portico\n#Version: %s\n#Log-type: IMAP4 Log\n#Date: %s\n#Fields: %s\n",
		version, now.UTC().Format(timeForm), strings.Join(Fields[:], ","))
}

// append writes a chunk behind a line for what is lost in front of it.
func (w *writer) append(c chunk) error {
	if w.lost > 0 {
		if err := w.put(lostLine(c.format, w.lost)); err != nil {
			return err
		}
		w.lost = 0
	}
	return w.put(c.data)
}

// lostLine tells of rows that are missing.
func lostLine(f Format, n uint64) []byte {
	if f == JSON {
		return fmt.Appendf(nil, "{\"lost\":%d}\n", n)
	}
	return fmt.Appendf(nil, "#Lost: %d rows\n", n)
}

// LostLine tells who watches of rows that are missing.
func LostLine(f Format, n uint64) []byte { return lostLine(f, n) }

// put writes all of p or nothing. What WriteAt says of how much was written before a failure is not to be trusted.
func (w *writer) put(p []byte) error {
	if _, err := w.writeAt(w.file, p, w.size); err != nil {
		return errors.Join(err, w.file.Truncate(w.size))
	}
	w.size += int64(len(p))
	return nil
}

// fail notes that nothing can be written; the program's log has a line when that begins, and one when it is over.
func (w *writer) fail(err error, now time.Time) {
	w.retry = now.Add(retryTime)
	w.counts.failures.Add(1)
	w.shut()
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

func (w *writer) works() {
	w.mu.Lock()
	failed, since := w.failing != nil, w.since
	w.failing = nil
	w.mu.Unlock()
	if failed {
		w.log.Warn().Time("since", since).Msg("protocol log writable again")
	}
}

// shut lets the file go.
func (w *writer) shut() {
	if w.file == nil {
		return
	}
	w.file.Close()
	w.file = nil
	w.mu.Lock()
	w.current = ""
	w.mu.Unlock()
}

// close is for a file that is done.
func (w *writer) close() {
	w.shut()
	w.kept = time.Time{}
}
