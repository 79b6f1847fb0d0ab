package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// FileName is the store's file in data_dir.
const FileName = "portico.db"

// lockTimeout gives an ending process the time to let go of the file.
const lockTimeout = 2 * time.Second

// bucket holds the entries: a big-endian revision and then the value. Its name
// carries the version of that form; its sequence is the store's revision.
var bucket = []byte("entries/1")

// Open opens the store in dir, and makes both if they do not exist. Only one
// process can have it open: a second one gets ErrLocked after two seconds.
func Open(dir string) (Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	path := filepath.Join(dir, FileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("store: %s is locked: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("store: opening %s: %w", path, err)
	}
	entries, revision, err := load(db)
	if err == nil {
		err = os.Chmod(path, 0o600) // it may come from a backup
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("store: reading %s: %w", path, err)
	}
	return newMemory(entries, revision, func(c Change) error { return commit(db, c) }, db.Close), nil
}

func load(db *bbolt.DB) (entries map[string]Entry, revision uint64, err error) {
	entries = make(map[string]Entry)
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		revision = b.Sequence()
		return b.ForEach(func(key, stored []byte) error {
			if len(stored) < 8 {
				return fmt.Errorf("%w: entry %q has no revision", ErrInvalid, key)
			}
			entries[string(key)] = Entry{
				Key: string(key), Value: bytesOf(stored[8:]), Revision: binary.BigEndian.Uint64(stored),
			}
			return nil
		})
	})
	return entries, revision, err
}

// commit returns when the change is on the disk, or not at all.
func commit(db *bbolt.DB, c Change) error {
	return db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if err := b.SetSequence(c.Revision); err != nil {
			return err
		}
		if c.Deleted {
			return b.Delete([]byte(c.Key))
		}
		return b.Put([]byte(c.Key), append(binary.BigEndian.AppendUint64(nil, c.Revision), c.Value...))
	})
}
