package store

import (
	cryptorand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Files in data_dir. The identity shows whether the store's file is the last one that was written. The lock keeps a
// second process out.
const (
	FileName     = "portico.db"
	IdentityName = "portico.db.id"
	lockName     = "portico.lock"
	scratchName  = "portico.try" + unfinished // of TryWrite
)

// lockTimeout is how long Open waits for an ending process to release the lock.
const lockTimeout = 2 * time.Second

// File is a store in a folder. Besides the methods of a Store, it makes backups; see backup.go.
type File struct {
	*memory
	dir      string
	lock     *os.File
	identity string
	written  mark   // of the file; memory.writing guards it and the folder
	previous string // the sum of the file before this one
	behind   bool   // the identity could not be written after the file
	lent     atomic.Bool
}

var _ Store = (*File)(nil)

// Open opens the store in dir, and creates both if they do not exist. Only one process can have it open: a second one
// gets ErrLocked after two seconds. If a file is damaged, or is not the last one written, as far as its identity and
// its copies show, the error is *Damage. A file of format 1 is converted once; a copy of it is kept.
func Open(dir string, now time.Time) (*File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	return OpenLocked(dir, lock, now)
}

// OpenLocked is Open with a lock that another process has lent; see File.Lend. The store owns the lock from now on,
// even if OpenLocked fails.
func OpenLocked(dir string, lock *os.File, now time.Time) (*File, error) {
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
	return nil, fmt.Errorf("store: lock %s: %w", path, err)
}

// open reads the folder and brings it up to date. It has the lock.
func (f *File) open(now time.Time) error {
	removeUnfinished(f.dir)
	found, err := read(f.dir)
	if err != nil {
		return err
	}
	f.identity, f.written, f.previous = found.identity, found.mark, found.previous
	if found.old != nil {
		if _, err := keepCopy(f.dir, now, BeforeFormat, found.old); err != nil {
			return err
		}
	}
	f.memory = newMemory(found.entries, found.revision, f.commit, f.lock.Close)
	switch {
	case found.mark.identity == "":
		// The identity is written first: without the file it means that nothing was stored yet.
		f.identity = newIdentity()
		err = f.writeMark(mark{identity: f.identity, sum: unwritten})
		fallthrough
	case found.old != nil || found.missing:
		err = errors.Join(err, f.write(found.revision, found.entries))
	case found.mark.sum != found.sum: // a process ended between the two writes
		err = f.writeMark(mark{f.identity, found.revision, found.sum})
	default:
		err = f.private()
	}
	return err
}

// private removes the rights of other users, which a copy made by hand may have.
func (f *File) private() error {
	return errors.Join(os.Chmod(filepath.Join(f.dir, FileName), 0o600),
		os.Chmod(filepath.Join(f.dir, IdentityName), 0o600))
}

// commit returns when the change is on the disk, or fails and changes nothing. Once the file is in place, the change
// counts, also for the next process, even if the identity cannot be written. The next commit or Check writes the
// identity then.
func (f *File) commit(c Change) error {
	entries := maps.Clone(f.entries) // no other change runs: the caller holds writing
	if c.Deleted {
		delete(entries, c.Key)
	} else {
		entries[c.Key] = c.Entry
	}
	if err := f.put(c.Revision, entries); err != nil {
		return err
	}
	f.follow()
	return nil
}

// write replaces the file and then its identity.
func (f *File) write(revision uint64, entries map[string]Entry) error {
	if err := f.put(revision, entries); err != nil {
		return err
	}
	return f.follow()
}

// put replaces the file. The file is never more than one write ahead of its identity. The identity is behind until
// follow has written it.
func (f *File) put(revision uint64, entries map[string]Entry) error {
	if err := f.follow(); err != nil {
		return err
	}
	next := state{f.identity, revision, f.written.sum, entries}
	text, sum := next.encode()
	if err := ReplaceFile(filepath.Join(f.dir, FileName), text); err != nil {
		return err
	}
	f.written, f.previous, f.behind = mark{f.identity, revision, sum}, next.previous, true
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
	if err := ReplaceFile(filepath.Join(f.dir, IdentityName), m.encode()); err != nil {
		return err
	}
	f.written = m
	return nil
}

// Check reads the files, and returns *Damage if they differ from what the store holds. It also fails while the
// identity cannot be written. It does not read the copies. While the folder is lent, it says nothing.
func (f *File) Check() error {
	if f.lent.Load() {
		return nil
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	if err := f.follow(); err != nil {
		return fmt.Errorf("store: the identity of %s is behind: %w", filepath.Join(f.dir, FileName), err)
	}
	there, err := readAgainst(f.dir, nil)
	if err == nil && (there.sum != f.written.sum || there.mark != f.written) {
		err = damaged(filepath.Join(f.dir, FileName),
			"it is not what this Portico wrote last: another program has changed it")
	}
	return err
}

// TryWrite reports whether the next change could be written. It writes as much data as the store has to a second file,
// and removes that file. While the folder is lent, it says nothing.
func (f *File) TryWrite() error {
	if f.lent.Load() {
		return nil
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	err := f.follow()
	if err == nil {
		text, _ := state{f.identity, f.revision, f.previous, f.entries}.encode()
		scratch := filepath.Join(f.dir, scratchName)
		err = errors.Join(ReplaceFile(scratch, text), removeIfThere(scratch))
	}
	if err != nil {
		return fmt.Errorf("store: %s cannot be written: %w", filepath.Join(f.dir, FileName), err)
	}
	return nil
}

// ReadOnly returns the current state of the store in dir, also while a process has it open. Changes of the result are
// not stored. Its errors are those of Open.
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
