package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
)

// found is the content of a folder.
type found struct {
	state
	sum     string
	mark    mark
	missing bool   // the file does not exist and was never written
	old     []byte // the file, if it has format 1
}

// read reads the store of a folder and changes nothing. It needs no lock: files are replaced as a whole, and a copy is
// never ahead of a file that is read after it.
func read(dir string) (found, error) {
	copies, err := readCopies(dir)
	if err != nil {
		return found{}, err
	}
	return readAgainst(dir, copies)
}

// readAgainst is read with copies that are already read.
func readAgainst(dir string, copies []kept) (found, error) {
	var f found
	text, identity, err := readPair(dir)
	if err != nil {
		return f, err
	}
	path, beside := filepath.Join(dir, FileName), filepath.Join(dir, IdentityName)
	if n := laterFormat(text, identity); n > 0 {
		return f, fmt.Errorf("store: %s has format %d, which a later version has written; this one knows formats up "+
			"to %d: start the later version, or restore a copy from before it", path, n, format)
	}
	if identity != nil {
		var whole bool
		if f.mark, whole = decodeMark(identity); !whole {
			return f, damaged(beside, "it is not as Portico wrote it")
		}
	}
	f.identity = f.mark.identity
	switch {
	case text == nil && f.mark.revision > 0:
		return f, damaged(path, "it is missing, although %s says that it existed at revision %d", beside,
			f.mark.revision)
	case text == nil && len(copies) > 0:
		return f, damaged(path, "it is missing, although there was a store here: %s has copies of it",
			filepath.Join(dir, BackupsName))
	case text == nil:
		f.missing, f.entries = true, make(map[string]Entry)
		return f, nil
	case isFormat1(text) && f.mark.revision == 0:
		if c := newest(copies); c.identity != "" {
			return f, damaged(path, "it has the format of an earlier Portico, and the copy %s has the present format",
				c.path)
		}
		f.old = text
		f.revision, f.entries, err = readFormat1(path, text)
		return f, err
	}
	if err := f.decode(path, beside, text); err != nil {
		return f, err
	}
	return f, f.compare(path, copies)
}

// readPair reads the file and its identity; either is nil if it does not exist. A process that writes meanwhile could
// produce a pair that does not match, so the identity must be the same before and after the file is read.
func readPair(dir string) (text, identity []byte, err error) {
	identity, err = readIfThere(filepath.Join(dir, IdentityName))
	for range 100 {
		if err == nil {
			text, err = readIfThere(filepath.Join(dir, FileName))
		}
		if err != nil {
			break
		}
		before := identity
		identity, err = readIfThere(filepath.Join(dir, IdentityName))
		if bytes.Equal(identity, before) {
			break
		}
	}
	return text, identity, err
}

// readIfThere returns nil if the file does not exist, and an empty slice if it is empty.
func readIfThere(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, damaged(path, "it is not a regular file but %s", kindOf(info))
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("store: %w", err)
	}
	return text, nil
}

func kindOf(info fs.FileInfo) string {
	if info.IsDir() {
		return "a folder"
	}
	return "a device, pipe or socket"
}

// decode parses a file of the current format and compares it with its identity.
func (f *found) decode(path, beside string, text []byte) error {
	var flaws []Flaw
	f.state, f.sum, flaws = decode(text)
	switch {
	case len(flaws) > 0:
		return &Damage{File: path, Flaws: flaws}
	case f.mark.identity == "":
		return damaged(path, "its identity %s is missing", beside)
	case f.identity != f.mark.identity:
		return damaged(path, "it is another store: its identity is %s, but %s has %s", f.identity, beside,
			f.mark.identity)
	case f.revision < f.mark.revision:
		return damaged(path, "it is older than what Portico wrote last: revision %d, but %s has %d",
			f.revision, beside,
			f.mark.revision)
	case f.sum == f.mark.sum:
		return nil
	case !f.follows():
		return damaged(path,
			"it is not what Portico wrote last: it has revision %d, which does not follow revision %d in %s",
			f.revision, f.mark.revision, beside)
	}
	return nil
}

// follows reports whether the file was written directly after the one that the identity describes: a process may end
// between writing the file and its identity.
func (f *found) follows() bool {
	switch {
	case f.previous != "":
		return f.previous == f.mark.sum
	case f.mark.sum == unwritten:
		return true
	}
	return f.revision == f.mark.revision+1 // written by an earlier version, which does not say more
}

// compare compares the file with the copies of the same store.
func (f *found) compare(path string, copies []kept) error {
	for _, c := range copies {
		switch {
		case c.identity != f.identity:
		case c.revision > f.revision:
			return damaged(path, "it is older than a copy of it: it has revision %d, but %s has %d", f.revision,
				c.path, c.revision)
		case c.revision == f.revision && !maps.EqualFunc(c.entries, f.entries, Entry.equal):
			return damaged(path,
				"it is not the store that %s is a copy of: both have revision %d, but their entries differ",
				c.path, c.revision)
		}
	}
	return nil
}

func (e Entry) equal(other Entry) bool {
	return e.Key == other.Key && e.Revision == other.Revision && bytes.Equal(e.Value, other.Value)
}

// kept is a copy with its state, which is empty if the copy is damaged or has format 1.
type kept struct {
	path string
	state
}

// readCopies reads the copies of the store in dir.
func readCopies(dir string) ([]kept, error) {
	copies, err := listCopies(dir)
	var all []kept
	for _, c := range copies {
		text, err := readIfThere(c.Path)
		if err == nil && text == nil {
			continue // removed meanwhile
		}
		k := kept{path: c.Path}
		if s, _, flaws := decode(text); err == nil && len(flaws) == 0 { // a copy that cannot be read is still listed
			k.state = s
		}
		all = append(all, k)
	}
	return all, err
}

// newest returns the copy with the highest revision. Without copies of the current format, the result has no identity.
func newest(copies []kept) (last kept) {
	for _, c := range copies {
		if c.identity != "" && (last.identity == "" || c.revision > last.revision) {
			last = c
		}
	}
	return last
}
