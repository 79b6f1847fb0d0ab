package protolog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RollOver is when a new file begins: Exchange's LogFileRollOverSettings.
type RollOver uint8

// The periods, in UTC.
const (
	Hourly RollOver = iota
	Daily
	Weekly // from Monday on
	Monthly
)

// start returns when the period that t lies in began.
func (r RollOver) start(t time.Time) time.Time {
	t = t.UTC()
	year, month, day := t.Date()
	switch r {
	case Hourly:
		return t.Truncate(time.Hour)
	case Weekly:
		day -= (int(t.Weekday()) + 6) % 7
	case Monthly:
		day = 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// SizeUnlimited is a FileSettings.FileSize that keeps one file for ever.
const SizeUnlimited = -1

// FileSettings say where files are, and how long they are kept. For Age and TotalSize, 0 is no bound.
type FileSettings struct {
	Location string // the folder; it is made if the one above exists
	RollOver RollOver
	// bytes after which a new file begins; 0: a file for each period; SizeUnlimited: one file
	FileSize  int64
	Age       time.Duration // older files are deleted
	TotalSize int64         // of all files, in bytes: the oldest are deleted beyond it
	Compress  bool          // files that are done are compressed
}

const (
	suffix     = ".LOG"
	compressed = ".gz"
	unfinished = ".tmp" // of a compressed file that is not whole yet
	stampForm  = "2006010215"
)

// fileName is IMAP4yyyyMMddHH-n.LOG. The time is the begin of the file's period, or with FileSize when the file was
// made. n counts the files with the same time. The order of names is the order of files.
type fileName struct {
	stamp string
	n     int
	gz    bool
}

var fileForm = regexp.MustCompile(`^IMAP4(\d{10})-([1-9]\d{0,8})\.LOG(\.gz)?$`)

func parseName(name string) (fileName, bool) {
	m := fileForm.FindStringSubmatch(name)
	if m == nil {
		return fileName{}, false
	}
	n, err := strconv.Atoi(m[2])
	return fileName{m[1], n, m[3] != ""}, err == nil
}

func (f fileName) String() string {
	name := fmt.Sprintf("IMAP4%s-%d%s", f.stamp, f.n, suffix)
	if f.gz {
		name += compressed
	}
	return name
}

func compareNames(a, b fileName) int {
	return cmp.Or(strings.Compare(a.stamp, b.stamp), cmp.Compare(a.n, b.n))
}

// listFiles returns the log's files in a folder, the oldest first. If a file exists in both forms, because the program
// was killed during compression, it lists only the compressed one.
func listFiles(dir string) ([]fileName, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []fileName
	for _, e := range entries {
		if name, ok := parseName(e.Name()); ok && e.Type().IsRegular() {
			all = append(all, name)
		}
	}
	slices.SortFunc(all, func(a, b fileName) int {
		if order := compareNames(a, b); order != 0 || a.gz == b.gz {
			return order
		}
		if a.gz {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(all, func(a, b fileName) bool { return compareNames(a, b) == 0 }), nil
}

// repair repairs a folder after the program was killed. It removes incomplete compressed files, files that have a
// complete compressed form, and incomplete last rows.
func repair(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var failures []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		name, ours := parseName(strings.TrimSuffix(e.Name(), unfinished))
		switch {
		case !ours || !e.Type().IsRegular():
		case strings.HasSuffix(e.Name(), unfinished):
			failures = append(failures, os.Remove(path))
		case name.gz:
			err := os.Remove(strings.TrimSuffix(path, compressed))
			if !errors.Is(err, os.ErrNotExist) {
				failures = append(failures, err)
			}
		default:
			if err := cutTorn(path); !errors.Is(err, os.ErrNotExist) { // the case before may have removed it
				failures = append(failures, err)
			}
		}
	}
	return errors.Join(append(failures, err)...)
}

// cutTorn removes the bytes after a file's last line end.
func cutTorn(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	whole, err := wholeLines(f, size)
	if err != nil {
		return err
	}
	if whole == size {
		return nil
	}
	return f.Truncate(whole)
}

// wholeLines returns how many of the first size bytes of f are whole lines.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	for whole, buf := size, make([]byte, 4<<10); whole > 0; {
		from := max(whole-int64(len(buf)), 0)
		n, err := f.ReadAt(buf[:whole-from], from)
		if err != nil {
			return 0, err
		}
		if at := bytes.LastIndexByte(buf[:n], '\n'); at >= 0 {
			return from + int64(at) + 1, nil
		}
		whole = from
	}
	return 0, nil
}

// pick returns the file to write to now, and whether it exists already.
func pick(dir string, s FileSettings, format Format, now time.Time) (name fileName, goOn bool, err error) {
	all, err := listFiles(dir)
	if err != nil {
		return name, false, err
	}
	period := s.RollOver
	if s.FileSize != 0 {
		period = Hourly // of these files the name says when they were made
	}
	name = fileName{stamp: period.start(now).Format(stampForm), n: 1}
	if len(all) == 0 {
		return name, false, nil
	}
	last := all[len(all)-1]
	if !last.gz && (s.FileSize != 0 || last.stamp == name.stamp) &&
		continues(filepath.Join(dir, last.String()), s.FileSize, format) {
		return last, true, nil
	}
	if last.stamp >= name.stamp { // a clock that was set back makes no earlier file
		name.stamp, name.n = last.stamp, last.n+1
	}
	return name, false, nil
}

// continues says whether a file has room for more rows and has this format.
func continues(path string, size int64, format Format) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || size > 0 && info.Size() >= size {
		return false
	}
	var first [1]byte
	if _, err := f.Read(first[:]); err != nil {
		return err == io.EOF
	}
	return (first[0] == '{') == (format == JSON)
}
