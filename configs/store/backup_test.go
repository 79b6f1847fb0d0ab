package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"
)

// reasons lists the copies in a folder, the newest first.
func reasons(t *testing.T, dir string) (all []string) {
	t.Helper()
	copies, err := Copies(dir)
	wantErr(t, err, nil)
	for _, c := range copies {
		wantErr(t, c.Err, nil)
		all = append(all, c.Taken.Format("01-02 15h ")+string(c.Reason))
	}
	return all
}

// A copy a day is kept, the last ones only, and other copies are not touched.
func TestDailyCopies(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	defer s.Close()
	_, err := s.Backup(noon, ByHand)
	wantErr(t, err, nil)
	for hour := range 24 * 5 {
		made, err := s.BackupDaily(noon.Add(time.Duration(hour)*time.Hour), 3)
		wantErr(t, err, nil)
		if want := hour == 0 || hour%24 == 12; made != want {
			t.Errorf("hour %d: made is %v", hour, made)
		}
	}
	want := []string{"05-09 00h daily", "05-08 00h daily", "05-07 00h daily", "05-04 12h by-hand"}
	if got := reasons(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("copies are %q, want %q", got, want)
	}
}

// The revision says which copy is the newest, not the time in its name: a clock that was a year ahead once changes
// neither the order nor what is kept.
func TestCopiesAreOrderedByRevision(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	revision := set(t, s, "a", 0, "0")
	_, err := s.BackupDaily(noon.AddDate(1, 0, 0), 2)
	wantErr(t, err, nil)
	for day := range 4 {
		revision = set(t, s, "a", revision, fmt.Sprint(day+1))
		_, err := s.BackupDaily(noon.AddDate(0, 0, day), 2)
		wantErr(t, err, nil)
	}
	want := []string{"05-07 12h daily", "05-06 12h daily"}
	if got := reasons(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("copies are %q, want %q", got, want)
	}
	copies, err := Copies(dir)
	wantErr(t, err, nil)
	if content, err := ReadCopy(copies[0].Path); err != nil || string(content.Entries[0].Value) != "4" {
		t.Errorf("the newest copy has %v, %v", content, err)
	}
}

// Copies made while others write are whole, and of one moment: both keys have the same number, or the first is one
// ahead.
func TestCopiesWhileWriting(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	a, b := set(t, s, "a", 0, "0"), set(t, s, "b", 0, "0")
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			default:
				a = set(t, s, "a", a, fmt.Sprint(n))
				b = set(t, s, "b", b, fmt.Sprint(n))
			}
		}
	})
	for i := range 20 {
		c, err := s.Backup(noon.Add(time.Duration(i)*time.Second), ByHand)
		wantErr(t, err, nil)
		aside := filepath.Join(t.TempDir(), "copy")
		_, err = WriteCopy(dir, aside)
		wantErr(t, err, nil)
		for _, path := range []string{c.Path, aside} {
			content, err := ReadCopy(path)
			wantErr(t, err, nil)
			var first, second int
			fmt.Sscan(string(content.Entries[0].Value), &first)
			fmt.Sscan(string(content.Entries[1].Value), &second)
			if first != second && first != second+1 {
				t.Errorf("copy %s has %d and %d", path, first, second)
			}
		}
	}
	close(done)
	writing.Wait()
}

func TestRestore(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	c, err := s.Backup(noon, ByHand)
	wantErr(t, err, nil)
	e, err := s.Get(t.Context(), "active/db1")
	wantErr(t, err, nil)
	set(t, s, "active/db1", e.Revision, "mbx9")
	last := set(t, s, "z", 0, "new")
	if _, err := Restore(dir, c.Path, false, noon, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("restore into an open store: %v", err)
	}
	wantErr(t, s.Close(), nil)

	done, err := Restore(dir, c.Path, false, noon.Add(time.Hour), nil)
	wantErr(t, err, nil)
	wantChanges := []Difference{{"active/db1", []byte("mbx9"), e.Value}, {"z", []byte("new"), nil}}
	if done.Entries != 5 || done.Left != nil || !reflect.DeepEqual(done.Changes, wantChanges) {
		t.Errorf("restored %+v", done)
	}
	s = open(t, dir)
	defer s.Close()
	wantEntry(t, s, "active/db1", e.Revision, string(e.Value))
	if next := set(t, s, "z", 0, "again"); next <= last+1 {
		t.Errorf("revision %d comes after %d", next, last)
	}
	before, err := ReadCopy(done.Kept)
	wantErr(t, err, nil)
	if len(before.Entries) != 6 {
		t.Errorf("the copy of what was there has %d entries", len(before.Entries))
	}
}

// After any damage, a copy can be restored; or what is whole of the damaged file, if somebody asks for that.
func TestRestoreAfterDamage(t *testing.T) {
	for what, damage := range map[string]func(path, beside string) error{
		"cut":              func(path, _ string) error { return os.Truncate(path, 300) },
		"emptied":          func(path, _ string) error { return os.Truncate(path, 0) },
		"removed":          func(path, _ string) error { return os.Remove(path) },
		"identity removed": func(_, beside string) error { return os.Remove(beside) },
		"identity cut":     func(_, beside string) error { return os.Truncate(beside, 20) },
		"both removed": func(path,
			beside string) error {
			return errors.Join(os.Remove(path), os.Remove(beside))
		},
		"identity of another store": func(_,
			beside string) error {
			return ReplaceFile(beside, mark{"x", 99, "y"}.encode())
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filled(t)
			s := open(t, dir)
			c, err := s.Backup(noon, ByHand)
			wantErr(t, errors.Join(err, s.Close()), nil)
			wantErr(t, damage(filepath.Join(dir, FileName), filepath.Join(dir, IdentityName)), nil)
			_, err = Restore(dir, c.Path, false, noon.Add(time.Second), nil)
			wantErr(t, err, nil)
			s = open(t, dir)
			defer s.Close()
			all, err := s.List(t.Context(), "")
			if err != nil || len(all) != 5 {
				t.Errorf("%d entries, %v", len(all), err)
			}
			wantErr(t, s.Check(), nil)
		})
	}
}

func TestRestorePartly(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, FileName)
	wantErr(t, os.Truncate(path, 250), nil)
	var damage *Damage
	if _, err := Restore(dir, path, false, noon, nil); !errors.As(err, &damage) {
		t.Fatalf("error is %v", err)
	}
	wantDamage(t, dir, FileName, "after a refused restore")
	done, err := Restore(dir, path, true, noon, nil)
	wantErr(t, err, nil)
	if done.Left == nil || done.Entries == 0 || done.Entries > 3 {
		t.Errorf("restored %+v", done)
	}
	s := open(t, dir)
	defer s.Close()
	if all, err := s.List(t.Context(), ""); err != nil || len(all) != done.Entries {
		t.Errorf("%d entries, %v", len(all), err)
	}

	empty := filepath.Join(t.TempDir(), "empty")
	put(t, empty, nil)
	if _, err := Restore(t.TempDir(), empty, true, noon, nil); !errors.As(err, &damage) {
		t.Errorf("nothing is restored, and the error is %v", err)
	}
}

// What root writes belongs to the owner of the folder.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can give files away: the owner is the same here")
	}
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		wantErr(t, os.Chown(dir, 12345, 23456), nil)
	}
	s := open(t, dir)
	set(t, s, "a", 0, "one")
	c, err := s.Backup(noon, ByHand)
	wantErr(t, errors.Join(err, s.Close()), nil)
	for _, path := range []string{FileName, IdentityName, lockName, BackupsName, filepath.Join(BackupsName, c.Name)} {
		if got, want := ownerOf(t, filepath.Join(dir, path)), ownerOf(t, dir); got != want {
			t.Errorf("%s belongs to %s, its folder to %s", path, got, want)
		}
	}
}

// A file is foreign if it has another identity than the store and its copies, and lies elsewhere.
func TestForeign(t *testing.T) {
	made := func(keys ...string) string {
		dir := t.TempDir()
		f, err := Open(dir, noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if _, err := f.CompareAndSet(t.Context(), key, 0, []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	at := func(dir string) string { return filepath.Join(dir, FileName) }
	mine, theirs, empty := made("a"), made("a"), t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "copy")
	copyFile := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile(at(mine), elsewhere)
	for _, test := range []struct {
		dir, from string
		want      bool
	}{
		{mine, at(theirs), true}, {mine, elsewhere, false}, {mine, at(mine), false}, {empty, at(theirs), false},
		{mine, filepath.Join(empty, "nothing"), false},
	} {
		if got := Foreign(test.dir, test.from); got != test.want {
			t.Errorf("%s for %s: %v", test.from, test.dir, got)
		}
	}
	copyFile(at(theirs), at(mine))
	if Foreign(mine, at(mine)) {
		t.Error("what lies in the folder already is refused")
	}
}
