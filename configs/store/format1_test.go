package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// writeFormat1 writes a file of the form before: the entries have revisions from 1.
func writeFormat1(t *testing.T, path string, entries map[string]string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	wantErr(t, err, nil)
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket1)
		if err != nil {
			return err
		}
		for key, value := range entries {
			r, _ := b.NextSequence()
			if err := b.Put([]byte(key), append(binary.BigEndian.AppendUint64(nil, r), value...)); err != nil {
				return err
			}
		}
		return nil
	})
	wantErr(t, errors.Join(err, db.Close()), nil)
}

// A file of the form before is taken over once, and kept.
func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	writeFormat1(t, path, map[string]string{"active/db1": "mbx1"})
	old, err := os.ReadFile(path)
	wantErr(t, err, nil)
	for range 2 {
		s := open(t, dir)
		wantEntry(t, s, "active/db1", 1, "mbx1")
		wantErr(t, s.Check(), nil)
		wantErr(t, s.Close(), nil)
	}
	copies, err := Copies(dir)
	wantErr(t, err, nil)
	if len(copies) != 1 || copies[0].Reason != BeforeFormat || copies[0].Err != nil || copies[0].Entries != 1 {
		t.Fatalf("copies are %+v", copies)
	}
	if kept, err := os.ReadFile(copies[0].Path); err != nil || !bytes.Equal(kept, old) {
		t.Errorf("the copy is not the old file: %v", err)
	}
	if s := open(t, dir); set(t, s, "b", 0, "") <= 1 {
		t.Error("a revision is used again")
	} else {
		wantErr(t, s.Close(), nil)
	}
	put(t, path, nil)
	wantDamage(t, dir, FileName, "emptied after it was taken over")
}

// A damaged file of the form before is refused where that can be seen, and never a crash.
func TestDamagedFormat1(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	entries := make(map[string]string)
	for i := range 40 {
		entries[fmt.Sprintf("active/db%02d", i)] = strings.Repeat("mbx", 50)
	}
	writeFormat1(t, path, entries)
	whole, err := os.ReadFile(path)
	wantErr(t, err, nil)
	for length := 0; length < len(whole); length += 500 {
		put(t, path, whole[:length])
		_, content, err := readFormat1(path, whole[:length])
		if err != nil || len(content) != len(entries) { // else nothing was in what is cut
			wantDamage(t, dir, FileName, fmt.Sprintf("cut to %d bytes", length))
		}
	}
	for at := 0; at < len(whole); at += 61 {
		changed := bytes.Clone(whole)
		changed[at] ^= 0xff
		put(t, path, changed)
		_, content, err := readFormat1(path, changed)
		if err == nil && len(content) != len(entries) {
			t.Errorf("byte %d: %d entries of %d, and no error", at, len(content), len(entries))
		}
		if damage := (*Damage)(nil); errors.As(err, &damage) && (damage.File != path || len(damage.Flaws) == 0) {
			t.Errorf("byte %d: %+v", at, damage)
		}
	}
}

// bolt writes a bbolt file with one bucket, which has one entry.
func bolt(t *testing.T, path, bucket string, sequence uint64, key, stored string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	wantErr(t, err, nil)
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(bucket))
		return errors.Join(err, b.Put([]byte(key), []byte(stored)), b.SetSequence(sequence))
	})
	wantErr(t, errors.Join(err, db.Close()), nil)
}

// A whole bbolt file may hold what no Portico has written there.
func TestContentOfFormat1(t *testing.T) {
	revision := func(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
	longest, tooLong := strings.Repeat("k", MaxKey), strings.Repeat("k", MaxKey+1)
	for what, test := range map[string]struct {
		bucket, key, stored string
		want                Flaw // none: the entry is read
	}{
		"the highest revision": {"entries/1", "a", revision(7) + "one", Flaw{}},
		"an empty value":       {"entries/1", "a", revision(7), Flaw{}},
		"the longest key":      {"entries/1", longest, revision(7), Flaw{}},
		"another bucket":       {"entries/0", "a", revision(1), Flaw{What: "it has no entries"}},
		"half a revision":      {"entries/1", "a", revision(1)[:7], Flaw{Entry: "a", What: "it cannot be read"}},
		"a key too long":       {"entries/1", tooLong, revision(1), Flaw{Entry: tooLong, What: "it cannot be read"}},
		"a later revision": {"entries/1", "a", revision(8),
			Flaw{Entry: "a", What: "its revision is higher than the store's"}},
	} {
		dir := t.TempDir()
		bolt(t, filepath.Join(dir, FileName), test.bucket, 7, test.key, test.stored)
		if test.want != (Flaw{}) {
			if damage := wantDamage(t, dir, FileName, what); len(damage.Flaws) != 1 || damage.Flaws[0] != test.want {
				t.Errorf("%s: flaws are %v, want %v", what, damage.Flaws, test.want)
			}
			continue
		}
		s := open(t, dir)
		wantEntry(t, s, test.key, 7, test.stored[8:])
		if next := set(t, s, "z", 0, ""); next != 8 {
			t.Errorf("%s: the next revision is %d, want 8", what, next)
		}
		wantErr(t, s.Close(), nil)
	}
}

// bbolt passes over one damaged head of two, and then shows the state of one change earlier. Portico refuses the file.
func TestHeadsOfFormat1(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	writeFormat1(t, path, map[string]string{"active/db1": "mbx1"})
	whole, err := os.ReadFile(path)
	wantErr(t, err, nil)
	page := boltSecond(whole)
	for _, head := range []int{boltHead, page + boltHead} {
		for at := head; at < head+boltSummed+8; at++ {
			changed := bytes.Clone(whole)
			changed[at] ^= 1
			put(t, path, changed)
			damage := wantDamage(t, dir, FileName, fmt.Sprintf("byte %d", at))
			if got := damage.Flaws[0].What; got != "one of its two heads is damaged" {
				t.Errorf("byte %d: %s", at, got)
			}
		}
	}
	for length := range page + boltHead + boltSummed + 8 {
		flaw := checkFormat1(whole[:length])
		if flaw != "one of its two heads is damaged" ||
			isFormat1(whole[:length]) != (length >= boltHead+boltSummed+8) {
			t.Fatalf("cut to %d bytes: %q", length, flaw)
		}
	}
	pages := func(head int) uint64 { return binary.NativeEndian.Uint64(whole[head+boltHead+40:]) }
	end := page * int(max(pages(0), pages(page)))
	for length := page + boltHead + boltSummed + 8; length < len(whole); length++ {
		want := ""
		if length < end {
			want = "its end is missing"
		}
		if flaw := checkFormat1(whole[:length]); flaw != want {
			t.Fatalf("cut to %d bytes of %d: %q, want %q", length, end, flaw, want)
		}
	}
}

// Nothing is put in a file's place while the copy of it cannot be kept.
func TestNoReplacementWithoutACopy(t *testing.T) {
	old := t.TempDir()
	writeFormat1(t, filepath.Join(old, FileName), map[string]string{"active/db1": "mbx1"})
	today := filled(t)
	source := filepath.Join(t.TempDir(), "source")
	if _, err := WriteCopy(today, source); err != nil {
		t.Fatal(err)
	}
	change(t, today, "z", "since")
	for _, test := range []struct {
		what string
		dir  string
		why  Reason
		do   func(dir string) error
	}{
		{"take over", old, BeforeFormat, func(dir string) error {
			s, err := Open(dir, noon)
			if err == nil {
				err = s.Close()
			}
			return err
		}},
		{"restore", today, BeforeRestore, func(dir string) error {
			_, err := Restore(dir, source, false, noon, nil)
			return err
		}},
	} {
		inTheWay := CopyPath(test.dir, noon, test.why)
		wantErr(t, os.MkdirAll(inTheWay, 0o700), nil) // a rename to it fails
		before := files(t, test.dir)
		if err := test.do(test.dir); err == nil {
			t.Errorf("%s: no error", test.what)
		}
		if after := files(t, test.dir); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: files have changed", test.what)
		}
		wantErr(t, os.Remove(inTheWay), nil)
		if err := test.do(test.dir); err != nil {
			t.Errorf("%s, with room for the copy: %v", test.what, err)
		}
	}
}
