package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// resultFile is a file that a command writes besides its standard output. The command opens it before it measures, so
// that a bad name costs no measurement. It writes to a file beside it, and the name gets the new content only when all
// of it is written.
type resultFile struct {
	flag string // that names the file
	path string // without links
	to   *os.File
}

// openResult opens the file that a flag names; without a name it returns nil, whose methods do nothing. The caller
// calls drop in the end.
func openResult(flag, path string) (*resultFile, error) {
	if path == "" {
		return nil, nil
	}
	f := &resultFile{flag: flag, path: path}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return f, nil
}

func (f *resultFile) open() error {
	mode := fs.FileMode(0o666)
	old, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	switch {
	case err == nil:
		info, err := old.Stat()
		if err != nil || !info.Mode().IsRegular() { // a terminal, a pipe: nothing is lost that was there
			f.to = old
			return err
		}
		mode = info.Mode().Perm()
		if err := old.Close(); err != nil {
			return err
		}
		if f.path, err = filepath.EvalSymlinks(f.path); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if f.path, err = filepath.Abs(f.path); err != nil {
		return err
	}
	dir, name := filepath.Split(f.path)
	f.to, err = os.OpenFile(filepath.Join(dir, "."+name+"."+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	return err
}

// isAside reports whether the content is written beside the file.
func (f *resultFile) isAside() bool { return f.to.Name() != f.path }

// write writes the whole content.
func (f *resultFile) write(content func(io.Writer) error) error {
	if f == nil {
		return nil
	}
	if err := content(f.to); err != nil {
		return fmt.Errorf("--%s: %w", f.flag, err)
	}
	return f.keep()
}

// keep gives the name to what was written.
func (f *resultFile) keep() error {
	err := f.to.Close()
	if err == nil && f.isAside() {
		err = os.Rename(f.to.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("--%s: %w", f.flag, err)
	}
	return nil
}

// drop removes what was written and not kept.
func (f *resultFile) drop() {
	if f != nil && f.to.Close() == nil && f.isAside() { // closed already: it was kept
		os.Remove(f.to.Name())
	}
}

// differ returns an error if two flags name the same file.
func differ(a, b *resultFile) error {
	if a == nil || b == nil || a.path != b.path || !a.isAside() {
		return nil
	}
	return fmt.Errorf("--%s and --%s name the same file", a.flag, b.flag)
}
