package store

import (
	cryptorand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Files in data_dir. The identity tells whether the store's file is the last
// one that was written; the lock keeps a second process away.
const (
	FileName     = "portico.db"
	IdentityName = "portico.db.id"
	lockName     = "portico.lock"
)

// lockTimeout gives an ending process the time to let go of the lock.
const lockTimeout = 2 * time.Second

// File is a store that is kept in a folder. Beside what a Store does, it makes
// copies of itself; see backup.go.
type File struct {
	*memory
	dir      string
	lock     *os.File
	identity string
	written  mark // of the file; guarded by memory.writing, as is what is in the folder
	behind   bool // the identity could not be written behind the file
}

var _ Store = (*File)(nil)

// Open opens the store in dir, and makes both if they do not exist. Only one
// process can have it open: a second one gets ErrLocked after two seconds.
// A file that is damaged, missing beside its identity, or older than its
// identity gives *Damage. A file of the form before is taken over once; a copy
// of it is kept.
func Open(dir string, now time.Time) (*File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	f := &File{dir: dir, lock: lock}
	if err := f.open(now); err != nil {
		lock.Close()
		return nil, err
	}
	return f, nil
}

func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = giveToOwner(path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(20 * time.Millisecond) {
		err = tryLock(lock)
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, errHeld) || time.Now().After(deadline) {
			break
		}
	}
	lock.Close()
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("store: %s is locked: %w", filepath.Join(dir, FileName), ErrLocked)
	}
	return nil, fmt.Errorf("store: locking %s: %w", path, err)
}

// open reads the folder and brings it up to date. It has the lock.
func (f *File) open(now time.Time) error {
	removeUnfinished(f.dir)
	found, err := read(f.dir)
	if err != nil {
		return err
	}
	f.identity, f.written = found.identity, found.mark
	if found.old != nil {
		if _, err := keepCopy(f.dir, now, BeforeFormat, found.old); err != nil {
			return err
		}
	}
	f.memory = newMemory(found.entries, found.revision, f.commit, f.lock.Close)
	switch {
	case found.mark.identity == "": // the identity comes first: without the file it means that nothing was stored yet
		f.identity = newIdentity()
		err = f.writeMark(mark{identity: f.identity, sum: unwritten})
		fallthrough
	case found.old != nil || found.missing:
		err = errors.Join(err, f.write(state{f.identity, found.revision, found.entries}))
	case found.mark.sum != found.sum: // a process ended between the two
		err = f.writeMark(mark{f.identity, found.revision, found.sum})
	default:
		err = f.private()
	}
	return err
}

// private takes from others what a copy by hand may have given them.
func (f *File) private() error {
	return errors.Join(os.Chmod(filepath.Join(f.dir, FileName), 0o600), os.Chmod(filepath.Join(f.dir, IdentityName), 0o600))
}

// found is what a folder has.
type found struct {
	state
	sum     string
	mark    mark
	missing bool   // there is no file, and none was written yet
	old     []byte // the file, if it has the form before
}

// read reads the store of a folder, and changes nothing. It needs no lock: files
// are replaced whole, and the identity, which is read first, is replaced last.
func read(dir string) (found, error) {
	path, beside := filepath.Join(dir, FileName), filepath.Join(dir, IdentityName)
	var f found
	identity, err := os.ReadFile(beside)
	marked := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("store: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("store: %w", err)
	}
	there := err == nil
	if marked {
		if f.mark, marked = decodeMark(identity); !marked {
			return f, damaged(beside, "it is not as it was written")
		}
	}
	f.identity = f.mark.identity
	switch {
	case !there && f.mark.revision > 0:
		return f, damaged(path, "it is missing, though %s says that there was one at revision %d", beside, f.mark.revision)
	case !there:
		f.missing, f.entries = true, make(map[string]Entry)
		return f, nil
	case isFormat1(text) && f.mark.revision == 0:
		f.old = text
		f.revision, f.entries, err = readFormat1(path, text)
		return f, err
	}
	return f, f.decode(path, beside, text, marked)
}

// decode reads a file of today's form and holds it against its identity.
func (f *found) decode(path, beside string, text []byte, marked bool) error {
	identity := f.identity
	var flaws []Flaw
	f.state, f.sum, flaws = decode(text)
	switch {
	case len(flaws) > 0:
		return &Damage{File: path, Flaws: flaws}
	case !marked:
		return damaged(path, "its identity %s is missing", beside)
	case f.identity != identity:
		return damaged(path, "it is another store: its identity is %s, and %s has %s", f.identity, beside, identity)
	case f.revision < f.mark.revision:
		return damaged(path, "it is older than what was written last: revision %d, and %s has %d", f.revision, beside, f.mark.revision)
	case f.revision == f.mark.revision && f.sum != f.mark.sum && f.mark.sum != unwritten:
		return damaged(path, "it is not what was written last, says %s", beside)
	}
	return nil
}

// commit returns when the change is on the disk, or fails and changes nothing. Once the file is in its place the change counts, also for
// the next process, even if the identity cannot follow. Check writes that then.
func (f *File) commit(c Change) error {
	next := state{f.identity, c.Revision, make(map[string]Entry, len(f.entries)+1)}
	for key, e := range f.entries { // nobody else changes them: the caller holds writing
		next.entries[key] = e
	}
	if c.Deleted {
		delete(next.entries, c.Key)
	} else {
		next.entries[c.Key] = c.Entry
	}
	if err := f.put(next); err != nil {
		return err
	}
	f.follow()
	return nil
}

// write replaces the file and then its identity.
func (f *File) write(s state) error {
	if err := f.put(s); err != nil {
		return err
	}
	return f.follow()
}

// put replaces the file. The identity is behind until follow has written it.
func (f *File) put(s state) error {
	text, sum := s.encode()
	if err := replaceFile(filepath.Join(f.dir, FileName), text); err != nil {
		return err
	}
	f.written, f.behind = mark{s.identity, s.revision, sum}, true
	return nil
}

// follow writes the identity if it is behind.
func (f *File) follow() error {
	if !f.behind {
		return nil
	}
	err := f.writeMark(f.written)
	f.behind = err != nil
	return err
}

func (f *File) writeMark(m mark) error {
	if err := replaceFile(filepath.Join(f.dir, IdentityName), m.encode()); err != nil {
		return err
	}
	f.written = m
	return nil
}

// Check reads what is on the disk, and tells whether that is what the store
// holds: *Damage if not. It fails too while the identity cannot be written.
func (f *File) Check() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if err := f.follow(); err != nil {
		return fmt.Errorf("store: the identity of %s is behind: %w", filepath.Join(f.dir, FileName), err)
	}
	there, err := read(f.dir)
	if err == nil && (there.sum != f.written.sum || there.mark != f.written) {
		err = damaged(filepath.Join(f.dir, FileName), "it is not what this Portico wrote last: somebody else has changed it")
	}
	return err
}

// ReadOnly returns the store in dir as it is now, also while a process has it
// open. Changes of what it returns are forgotten. Its errors are those of Open.
func ReadOnly(dir string) (Store, error) {
	f, err := read(dir)
	if err != nil {
		return nil, err
	}
	return newMemory(f.entries, f.revision, func(Change) error { return nil }, func() error { return nil }), nil
}

func newIdentity() string {
	var random [16]byte
	cryptorand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
