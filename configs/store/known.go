package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Known is what a process knows of a store that is elsewhere. It is kept in a file, in the format of a store's own, for
// a start while that store is away.
type Known struct {
	Identity string // of the store, without blanks
	Revision uint64 // of the store, up to which this is all that was to be kept
	Entries  []Entry
}

// ReadKnown reads what WriteKnown has written. The error is fs.ErrNotExist if there is no file, and *Damage if nothing
// in it is to be trusted.
func ReadKnown(path string) (Known, error) {
	s, err := readFile(path)
	if err != nil {
		return Known{}, err
	}
	return Known{s.identity, s.revision, sorted(s.entries)}, nil
}

// WriteKnown replaces the file completely and durably, or removes it: if it cannot be written, what it says may be out
// of date. left says that it is still as it was.
func WriteKnown(path string, k Known) (left bool, err error) {
	entries := make(map[string]Entry, len(k.Entries))
	for _, e := range k.Entries {
		entries[e.Key] = e
	}
	text, _ := state{identity: k.Identity, revision: k.Revision, entries: entries}.encode()
	if err = ReplaceFile(path, text); err == nil {
		return false, nil
	}
	remove := os.Remove(path)
	if remove == nil {
		remove = syncFolder(filepath.Dir(path))
	}
	if remove == nil || errors.Is(remove, fs.ErrNotExist) {
		return false, err
	}
	return true, errors.Join(err, remove)
}
