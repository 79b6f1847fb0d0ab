package store

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Lend lets another process use the folder, which gets the lock that Lend returns; see OpenLocked. The lock still
// belongs to the store. Lend returns when a change that is being written is on the disk. Further changes wait until
// TakeBack, and Close makes them fail with ErrClosed. What is read is what this process knew last.
func (f *File) Lend() (lock *os.File) {
	f.writing.Lock()
	f.lent.Store(true)
	return f.lock
}

// TakeBack ends Lend, once the other process uses the folder no more. Those who watch get what it has changed. On an
// error, the folder is not as a store would leave it, and what this process knew stays in force.
func (f *File) TakeBack() error {
	defer f.writing.Unlock()
	defer f.lent.Store(false)
	removeUnfinished(f.dir)
	found, err := read(f.dir)
	if err != nil {
		return err
	}
	if found.identity != f.identity || found.revision < f.revision {
		return damaged(filepath.Join(f.dir, FileName), "it is not the one that was lent, or an older one")
	}
	f.written, f.previous = mark{f.identity, found.revision, found.sum}, found.previous
	f.behind = found.mark != f.written
	for _, c := range changesTo(f.entries, found) {
		f.publish(c)
	}
	f.mu.Lock()
	f.revision = found.revision
	f.mu.Unlock()
	if err := f.follow(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// changesTo are the changes that lead from entries to what was found, in the order of their revisions.
func changesTo(entries map[string]Entry, found found) (all []Change) {
	for key, e := range found.entries {
		if before, there := entries[key]; !there || before.Revision != e.Revision {
			all = append(all, Change{Entry: e})
		}
	}
	slices.SortFunc(all, func(a, b Change) int { return int(a.Revision) - int(b.Revision) })
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if _, there := found.entries[key]; !there {
			all = append(all, Change{Entry: Entry{Key: key, Revision: found.revision}, Deleted: true})
		}
	}
	return all
}

// Close implements Store. Of a folder that is lent, it takes nothing back: that belongs to the other process now.
func (f *File) Close() error {
	if !f.lent.CompareAndSwap(true, false) {
		return f.memory.Close()
	}
	defer f.writing.Unlock()
	return f.end()
}
