package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// Files of format 1 were databases of bbolt. Portico reads them once, to convert them.

// bucket1 held the entries: a big-endian revision, then the value. Its sequence was the store's revision.
var bucket1 = []byte("entries/1")

// Layout of a bbolt file: two head pages, of which the one with the higher transaction number is valid.
const (
	boltMagic   = 0xED0CDAED
	boltHead    = 16 // bytes before a head in its page
	boltSummed  = 56 // bytes of a head that its checksum covers
	boltMinimum = 512
)

// isFormat1 reports whether a file is, or was, a database of bbolt.
func isFormat1(text []byte) bool {
	_, first := boltHeadAt(text, 0)
	return first || boltSecond(text) > 0
}

// boltHeadAt returns the head in the page at an offset, and whether it exists.
func boltHeadAt(text []byte, offset int) (head []byte, ok bool) {
	if offset+boltHead+boltSummed+8 > len(text) {
		return nil, false
	}
	head = text[offset+boltHead:][:boltSummed+8]
	return head, binary.NativeEndian.Uint32(head) == boltMagic
}

// boltSecond returns the offset of the second page, 0 if it does not exist. Pages had the size of the system's memory
// pages.
func boltSecond(text []byte) int {
	for size := boltMinimum; size <= 64<<10; size *= 2 {
		if _, ok := boltHeadAt(text, size); ok {
			return size
		}
	}
	return 0
}

// checkFormat1 finds damage that bbolt would ignore or crash on: a damaged head, after which bbolt shows the state
// before the last change, and missing pages.
func checkFormat1(text []byte) (flaw string) {
	page := boltSecond(text)
	for _, offset := range []int{0, page} {
		head, ok := boltHeadAt(text, offset)
		if page == 0 || !ok || !boltWhole(head) {
			return "one of its two heads is damaged"
		}
		if pages := binary.NativeEndian.Uint64(head[40:]); pages > uint64(len(text)/page) {
			return "its end is missing"
		}
	}
	return ""
}

func boltWhole(head []byte) bool {
	sum := fnv.New64a()
	sum.Write(head[:boltSummed])
	return sum.Sum64() == binary.NativeEndian.Uint64(head[boltSummed:])
}

// readFormat1 reads the entries of a file of format 1. It locks the file, because an older Portico may be using it.
func readFormat1(path string, text []byte) (revision uint64, entries map[string]Entry, err error) {
	if flaw := checkFormat1(text); flaw != "" {
		return 0, nil, damaged(path, "%s", flaw)
	}
	type result struct {
		revision uint64
		entries  map[string]Entry
		err      error
	}
	done := make(chan result, 1)
	go func() { // its own goroutine, since SetPanicOnFault is for one goroutine alone
		var r result
		defer func() {
			if p := recover(); p != nil { // pages that point outside the file
				r = result{err: damaged(path, "its pages are damaged")}
			}
			done <- r
		}()
		debug.SetPanicOnFault(true)
		r.revision, r.entries, r.err = loadFormat1(path)
	}()
	r := <-done
	return r.revision, r.entries, r.err
}

func loadFormat1(path string) (revision uint64, entries map[string]Entry, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return 0, nil, fmt.Errorf("store: %s is locked: %w", path, ErrLocked)
	}
	if err != nil {
		return 0, nil, damaged(path, "%s", err)
	}
	entries = make(map[string]Entry)
	err = db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket1)
		if b == nil {
			return damaged(path, "it has no entries")
		}
		revision = b.Sequence()
		last := ""
		return b.ForEach(func(key, stored []byte) error {
			if len(stored) < 8 || len(key) > MaxKey || string(key) <= last {
				return &Damage{path, []Flaw{{Entry: string(key), What: "it cannot be read"}}}
			}
			e := Entry{Key: string(key), Value: bytesOf(stored[8:]), Revision: binary.BigEndian.Uint64(stored)}
			if e.Revision > revision {
				return &Damage{path, []Flaw{{Entry: e.Key, What: "its revision is higher than the store's"}}}
			}
			last, entries[e.Key] = e.Key, e
			return nil
		})
	})
	if err := errors.Join(err, db.Close()); err != nil { // after a panic it stays open: its locks may be held
		return 0, nil, err
	}
	return revision, entries, nil
}
