package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// BackupsName is the name of the folder of copies in data_dir.
const BackupsName = "backups"

// Reason says why a copy was made. It is part of the copy's name.
type Reason string

// Reasons.
const (
	Daily         Reason = "daily"
	ByHand        Reason = "by-hand"
	BeforeRestore Reason = "before-restore"
	BeforeFormat  Reason = "before-format-2"
)

// Copy describes one copy in the folder of copies.
type Copy struct {
	Name     string
	Path     string
	Taken    time.Time
	Reason   Reason
	Revision uint64
	Entries  int
	Err      error // *Damage, or why the file cannot be read
}

const (
	copyPrefix = "portico-"
	copySuffix = ".db"
	copyTime   = "20060102T150405.000Z"
)

// Copies lists the copies of the store in dir, the newest first: the one with the highest revision. It reads each
// copy. The time in a name comes from a clock that may have been wrong, so it only orders copies of one revision.
func Copies(dir string) ([]Copy, error) {
	copies, err := listCopies(dir)
	for i := range copies {
		c := &copies[i]
		content, err := ReadCopy(c.Path)
		c.Revision, c.Entries, c.Err = content.Revision, len(content.Entries), err
	}
	slices.SortStableFunc(copies, func(a, b Copy) int { return cmp.Compare(b.Revision, a.Revision) })
	return copies, err
}

// listCopies returns the copies of the store in dir by their names, the newest first.
func listCopies(dir string) ([]Copy, error) {
	folder := filepath.Join(dir, BackupsName)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	var all []Copy
	for _, e := range slices.Backward(entries) {
		if c, ok := copyNamed(e.Name()); ok {
			c.Path = filepath.Join(folder, c.Name)
			all = append(all, c)
		}
	}
	return all, nil
}

// copyNamed parses the name of a copy.
func copyNamed(name string) (c Copy, ok bool) {
	words, found := strings.CutPrefix(name, copyPrefix)
	words, ends := strings.CutSuffix(words, copySuffix)
	taken, reason, _ := strings.Cut(words, "-")
	at, err := time.Parse(copyTime, taken)
	return Copy{Name: name, Taken: at, Reason: Reason(reason)}, found && ends && err == nil
}

// CopyPath returns the path for a copy of the store in dir.
func CopyPath(dir string, now time.Time, why Reason) string {
	return filepath.Join(dir, BackupsName, copyPrefix+now.UTC().Format(copyTime)+"-"+string(why)+copySuffix)
}

// keepCopy writes a copy and returns its path.
func keepCopy(dir string, now time.Time, why Reason, text []byte) (string, error) {
	if err := makeBackups(dir); err != nil {
		return "", err
	}
	path := CopyPath(dir, now, why)
	if err := ReplaceFile(path, text); err != nil {
		return "", fmt.Errorf("store: copy: %w", err)
	}
	return path, nil
}

// makeBackups makes the folder of copies.
func makeBackups(dir string) error {
	folder := filepath.Join(dir, BackupsName)
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		err = giveToOwner(folder)
	}
	if err != nil {
		return fmt.Errorf("store: copy: %w", err)
	}
	return nil
}

// Backup writes a copy of the store's current state and reads it back. Changes wait meanwhile.
func (f *File) Backup(now time.Time, why Reason) (Copy, error) {
	f.writing.Lock()
	text, _ := state{f.identity, f.revision, f.previous, f.entries}.encode()
	f.writing.Unlock()
	path, err := keepCopy(f.dir, now, why, text)
	if err != nil {
		return Copy{}, err
	}
	c, _ := copyNamed(filepath.Base(path))
	content, err := ReadCopy(path)
	c.Path, c.Revision, c.Entries = path, content.Revision, len(content.Entries)
	return c, err
}

// BackupDaily makes the copy of a day (UTC), if that does not exist yet, and removes all but the last keep daily
// copies. made is false if the copy existed.
func (f *File) BackupDaily(now time.Time, keep int) (made bool, err error) {
	copies, err := Copies(f.dir)
	if err != nil {
		return false, err
	}
	for _, c := range copies {
		if c.Reason == Daily && c.Taken.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
			return false, nil
		}
	}
	c, err := f.Backup(now, Daily)
	if err != nil {
		return false, err
	}
	removeUnfinished(filepath.Join(f.dir, BackupsName))
	copies = append([]Copy{c}, copies...)
	return true, errors.Join(prune(copies, Daily, keep), prune(copies, BeforeRestore, keep))
}

// prune removes the copies of a kind after the first keep ones.
func prune(copies []Copy, why Reason, keep int) error {
	var errs []error
	for _, c := range copies {
		if c.Reason != why {
			continue
		}
		if keep--; keep < 0 {
			errs = append(errs, os.Remove(c.Path))
		}
	}
	return errors.Join(errs...)
}

// Content is the content of a file.
type Content struct {
	Revision uint64
	Entries  []Entry // sorted by key; of a damaged file, the intact ones
}

// ReadCopy reads a store's file of either format. It ignores any identity file beside it. Of a damaged file it returns
// the intact entries, and *Damage.
func ReadCopy(path string) (Content, error) {
	s, err := readFile(path)
	return Content{s.revision, sorted(s.entries)}, err
}

func readFile(path string) (s state, err error) {
	text, err := readIfThere(path)
	if err == nil && text == nil {
		err = fmt.Errorf("store: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist})
	}
	if err != nil {
		return s, err
	}
	if isFormat1(text) {
		s.revision, s.entries, err = readFormat1(path, text)
		return s, err
	}
	s, _, flaws := decode(text)
	if len(flaws) > 0 {
		return s, &Damage{File: path, Flaws: flaws}
	}
	return s, nil
}

func sorted(entries map[string]Entry) []Entry {
	all := make([]Entry, 0, len(entries))
	for _, e := range entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// WriteCopy writes the current state of the store in dir to a file. It also works while a process has the store open.
// It creates the folder of copies if that is missing.
func WriteCopy(dir, path string) (Content, error) {
	found, err := read(dir)
	if err != nil {
		return Content{}, err
	}
	if found.missing {
		return Content{}, fmt.Errorf("store: %s has no store yet, so there is nothing to copy", dir)
	}
	if filepath.Dir(path) == filepath.Join(dir, BackupsName) {
		if err := makeBackups(dir); err != nil {
			return Content{}, err
		}
	}
	text, _ := found.encode()
	if err := ReplaceFile(path, text); err != nil {
		return Content{}, fmt.Errorf("store: copy: %w", err)
	}
	return ReadCopy(path)
}
