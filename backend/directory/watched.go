package directory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// fileRest is the least time between two looks at whether a file has changed.
const fileRest = time.Second

// maxLine bounds a line of a file, in bytes.
const maxLine = 4 << 10

// FileOptions of a File or Passwd. They must be complete.
type FileOptions struct {
	Path   string
	Now    func() time.Time
	Report func(error) // called once for each new file that is not taken, and for one that is gone
	Wait   Wait        // for the file to be read again
}

// watched is a file that is read again when it has changed. It looks when it is asked, and keeps what it has when the
// new file has a mistake. It is safe for concurrent use after open.
type watched[T any] struct {
	opt   FileOptions
	parse func(io.Reader) (T, error) // its errors begin with the line's number

	content atomic.Pointer[T]
	looking sync.Mutex // guards what follows; whoever would have to wait for it does without
	looked  time.Time
	seen    fs.FileInfo
	gone    bool
}

// open reads the file for the first time.
func (w *watched[T]) open(o FileOptions, parse func(io.Reader) (T, error)) error {
	switch {
	case o.Now == nil:
		return errors.New("file options: Now is missing")
	case o.Report == nil:
		return errors.New("file options: Report is missing")
	case o.Wait == nil:
		return errors.New("file options: Wait is missing")
	}
	w.opt, w.parse = o, parse
	return w.read()
}

// now returns what the file says.
func (w *watched[T]) now(ctx context.Context) T {
	w.look(ctx)
	return *w.content.Load()
}

// look reads the file again if it has changed and nobody else is at it.
func (w *watched[T]) look(ctx context.Context) {
	if !w.looking.TryLock() {
		return
	}
	defer w.looking.Unlock()
	now := w.opt.Now()
	if now.Sub(w.looked) < fileRest {
		return
	}
	w.looked = now
	info, err := os.Stat(w.opt.Path)
	if err != nil {
		if !w.gone {
			w.opt.Report(err)
		}
		w.gone = true
		return
	}
	w.gone = false
	if os.SameFile(info, w.seen) && info.ModTime().Equal(w.seen.ModTime()) && info.Size() == w.seen.Size() {
		return
	}
	w.opt.Wait(ctx, func(context.Context) { err = w.read() })
	if err != nil {
		w.opt.Report(err)
	}
}

// read takes the file as it is now, or leaves all as it was.
func (w *watched[T]) read() error {
	file, err := os.Open(w.opt.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	w.looked, w.seen = w.opt.Now(), info // a mistake is told once
	content, err := w.parse(file)
	if err != nil {
		return fmt.Errorf("%s:%w", w.opt.Path, err)
	}
	w.content.Store(&content)
	return nil
}

// parseLines reads a file of one name to a line. one returns the name "" for a line that says nothing.
func parseLines[T any](r io.Reader, one func(text string) (string, T, error)) (map[string]T, error) {
	lines := make(map[string]T)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	n := 1
	for ; scanner.Scan(); n++ {
		name, said, err := one(scanner.Text())
		switch {
		case err != nil:
			return nil, fmt.Errorf("%d: %w", n, err)
		case name == "":
			continue
		}
		if _, twice := lines[name]; twice {
			return nil, fmt.Errorf("%d: %q is here a second time", n, name)
		}
		lines[name] = said
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", n, err)
	}
	return lines, nil
}
