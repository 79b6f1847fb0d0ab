package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Restored is the result of Restore.
type Restored struct {
	Revision uint64
	Entries  int
	Kept     string       // the copy of the previous file; "" if there was none
	Left     *Damage      // the damaged entries, which are left out; nil if there are none
	Changes  []Difference // from what could be read of the previous file, sorted by key
}

// Amendment returns entries that a restore adds, by key. It gets the damage of the copy, the intact entries of the
// copy, and what could be read of the previous file. It must not change the maps.
type Amendment func(left *Damage, taken, before map[string]Entry) map[string]string

// Difference is an entry that a restore changes. A value is nil where the entry does not exist.
type Difference struct {
	Key           string
	Before, After []byte
}

// Restore replaces the store in dir, which no process may have open, with the entries of the file from. It keeps the
// previous file, damaged or not, as a copy. With partial, from may be damaged, and Restore takes its intact entries;
// otherwise the error is *Damage. If the process is killed, the folder has the previous store or the restored one. The
// revision continues from the highest one seen, including those of copies. So from may also be the store's own file,
// if Open refused it. add returns entries to write besides those of the copy; it may be nil.
func Restore(dir, from string, partial bool, now time.Time, add Amendment) (done Restored, err error) {
	source, err := readFile(from)
	var damage *Damage
	switch {
	case errors.As(err, &damage) && partial && len(source.entries) > 0:
		done.Left = damage
	case err != nil:
		return done, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return done, fmt.Errorf("store: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return done, err
	}
	f := &File{dir: dir, lock: lock}
	defer lock.Close()
	removeUnfinished(dir)
	before, err := f.setAside(now, &done)
	if err != nil {
		return done, err
	}
	if err := f.identify(); err != nil {
		return done, err
	}
	copies, err := readCopies(dir)
	if err != nil {
		return done, err
	}
	done.Revision = max(f.written.revision, before.revision, source.revision, newest(copies).revision) + 1
	if add != nil {
		for key, value := range add(done.Left, source.entries, before.entries) {
			source.entries[key] = Entry{Key: key, Value: []byte(value), Revision: done.Revision}
		}
	}
	done.Entries, done.Changes = len(source.entries), differences(before.entries, source.entries)
	if err := f.write(done.Revision, source.entries); err != nil {
		return done, fmt.Errorf("store: restore: %w", err)
	}
	return done, nil
}

// Foreign reports whether a file is a copy of another store than the one in dir, according to the identity of that
// store and its copies. A file in dir or in its folder of copies is not foreign. Nothing is foreign while nothing is
// known of the store in dir.
func Foreign(dir, from string) bool {
	if in := filepath.Dir(from); in == filepath.Clean(dir) || in == filepath.Join(dir, BackupsName) {
		return false
	}
	source, _ := readFile(from) // a damaged one has an identity too
	known := make(map[string]bool)
	text, _ := readIfThere(filepath.Join(dir, IdentityName))
	if m, whole := decodeMark(text); whole && m.sum != unwritten {
		known[m.identity] = true
	}
	copies, _ := readCopies(dir)
	for _, c := range copies {
		if c.identity != "" {
			known[c.identity] = true
		}
	}
	return source.identity != "" && len(known) > 0 && !known[source.identity]
}

// setAside keeps the file that is there, and returns what can be read of it.
func (f *File) setAside(now time.Time, done *Restored) (before state, err error) {
	path := filepath.Join(f.dir, FileName)
	text, err := readIfThere(path)
	if err != nil || text == nil {
		return before, moveAway(err)
	}
	if done.Kept, err = keepCopy(f.dir, now, BeforeRestore, text); err != nil {
		return before, err
	}
	before, err = readFile(done.Kept)
	if damage := (*Damage)(nil); errors.As(err, &damage) { // that is why it is replaced
		err = nil
	}
	return before, err
}

// identify reads the identity of the folder, or gives it a new one. With a new
// one, the file that is there belongs to another store until it is replaced.
func (f *File) identify() error {
	text, err := readIfThere(filepath.Join(f.dir, IdentityName))
	if err != nil {
		return moveAway(err)
	}
	var whole bool
	if f.written, whole = decodeMark(text); whole {
		f.identity = f.written.identity
		return nil
	}
	f.identity = newIdentity()
	if err := f.writeMark(mark{identity: f.identity, sum: unwritten}); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// moveAway says what to do with what stands in a file's place and is none.
func moveAway(err error) error {
	if damage := (*Damage)(nil); errors.As(err, &damage) {
		return fmt.Errorf("%w: move it away first", err)
	}
	return err
}

func differences(before, after map[string]Entry) []Difference {
	changed := make(map[string]Entry)
	for key, e := range before {
		if there, ok := after[key]; !ok || !bytes.Equal(there.Value, e.Value) {
			changed[key] = e
		}
	}
	for key, e := range after {
		if _, ok := before[key]; !ok {
			changed[key] = e
		}
	}
	var all []Difference
	for _, e := range sorted(changed) {
		all = append(all, Difference{Key: e.Key, Before: before[e.Key].Value, After: after[e.Key].Value})
	}
	return all
}
