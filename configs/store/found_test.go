package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pair returns the file of a folder and its identity.
func pair(t *testing.T, dir string) (text, identity []byte) {
	t.Helper()
	for name, into := range map[string]*[]byte{FileName: &text, IdentityName: &identity} {
		var err error
		*into, err = os.ReadFile(filepath.Join(dir, name))
		wantErr(t, err, nil)
	}
	return text, identity
}

func putPair(t *testing.T, dir string, text, identity []byte) {
	t.Helper()
	put(t, filepath.Join(dir, FileName), text)
	put(t, filepath.Join(dir, IdentityName), identity)
}

// change opens a store, sets a key and closes it.
func change(t *testing.T, dir, key, value string) {
	t.Helper()
	s := open(t, dir)
	e, _ := s.Get(t.Context(), key)
	set(t, s, key, e.Revision, value)
	wantErr(t, s.Close(), nil)
}

func backup(t *testing.T, dir string) Copy {
	t.Helper()
	s := open(t, dir)
	c, err := s.Backup(noon, ByHand)
	wantErr(t, errors.Join(err, s.Close()), nil)
	return c
}

// wantValue opens a store that must be whole.
func wantValue(t *testing.T, dir, key, value string) {
	t.Helper()
	s := open(t, dir)
	defer s.Close()
	if e, err := s.Get(t.Context(), key); err != nil || string(e.Value) != value {
		t.Errorf("%s is %q, %v; want %q", key, e.Value, err, value)
	}
	wantErr(t, s.Check(), nil)
}

// Copies tell that there was a store, also when its file and its identity are both gone, or back at their beginning.
func TestNoFileBesideCopies(t *testing.T) {
	for what, lose := range map[string]func(path, beside string) error{
		"both removed": func(path, beside string) error { return errors.Join(os.Remove(path), os.Remove(beside)) },
		"an identity without file": func(path, beside string) error {
			return errors.Join(os.Remove(path), ReplaceFile(beside,
				mark{identity: newIdentity(), sum: unwritten}.encode()))
		},
	} {
		dir := filled(t)
		c := backup(t, dir)
		wantErr(t, lose(filepath.Join(dir, FileName), filepath.Join(dir, IdentityName)), nil)
		wantDamage(t, dir, FileName, what)
		if _, err := WriteCopy(dir, filepath.Join(t.TempDir(), "copy")); !errors.As(err, new(*Damage)) {
			t.Errorf("%s: a copy is made, and the error is %v", what, err)
		}
		_, err := Restore(dir, c.Path, false, noon, nil)
		wantErr(t, err, nil)
		change(t, dir, "z", "new")

		putPair(t, dir, nil, nil)
		for _, name := range []string{FileName, IdentityName, BackupsName} { // the way to an empty store
			wantErr(t, os.RemoveAll(filepath.Join(dir, name)), nil)
		}
		change(t, dir, "z", "first")
	}

	dir := filled(t)
	c := backup(t, dir)
	wantErr(t, errors.Join(os.Truncate(c.Path, 50), os.Remove(filepath.Join(dir, FileName)),
		os.Remove(filepath.Join(dir, IdentityName))), nil)
	wantDamage(t, dir, FileName, "only a damaged copy is left")
}

// A pair that fits together may still be of an earlier time: a copy of the same store that is newer tells.
func TestOlderPairBesideNewerCopy(t *testing.T) {
	dir := filled(t)
	text, identity := pair(t, dir)
	change(t, dir, "z", "new")
	c := backup(t, dir)
	putPair(t, dir, text, identity)
	wantDamage(t, dir, FileName, "an older pair")

	_, err := Restore(dir, c.Path, false, noon, nil)
	wantErr(t, err, nil)
	wantValue(t, dir, "z", "new")

	putPair(t, dir, text, identity) // if the older one is meant, restoring it says so
	_, err = Restore(dir, filepath.Join(dir, FileName), false, noon, nil)
	wantErr(t, err, nil)
	wantValue(t, dir, "settings", "{\"n\":4}\n\x00\xff é")
	change(t, dir, "z", "another")

	// The same revision with other entries is another history.
	other := t.TempDir()
	putPair(t, other, text, identity)
	change(t, dir, "a", "here")
	wantErr(t, os.RemoveAll(filepath.Join(dir, BackupsName)), nil)
	putPair(t, dir, text, identity)
	change(t, dir, "z", "here")
	backup(t, dir)
	change(t, other, "z", "there")
	text, identity = pair(t, other)
	putPair(t, dir, text, identity)
	wantDamage(t, dir, FileName, "another history")
}

// A copy of another store says nothing about this one, and neither does a damaged one.
func TestCopiesThatDoNotCount(t *testing.T) {
	dir, other := filled(t), filled(t)
	for i := range 5 {
		change(t, other, "z", fmt.Sprint(i))
	}
	c := backup(t, other)
	text, err := os.ReadFile(c.Path)
	wantErr(t, err, nil)
	wantErr(t, makeBackups(dir), nil)
	put(t, filepath.Join(dir, BackupsName, c.Name), text)
	put(t, CopyPath(dir, noon, Daily), text[:100])
	change(t, dir, "z", "new")
}

// A file of the same store must follow from the one that the identity names, whatever its revision.
func TestFileFromAClone(t *testing.T) {
	for ahead := range 4 {
		a, b := filled(t), t.TempDir()
		text, identity := pair(t, a)
		putPair(t, b, text, identity)
		for range 2 {
			change(t, a, "z", "here")
		}
		for range 2 + ahead {
			change(t, b, "z", "there")
		}
		text, _ = pair(t, b)
		put(t, filepath.Join(a, FileName), text)
		wantDamage(t, a, FileName, fmt.Sprintf("a clone that is %d ahead", ahead))
		_, err := Restore(a, filepath.Join(a, FileName), false, noon, nil)
		wantErr(t, err, nil)
		wantValue(t, a, "z", "there")
	}
}

// asBefore rewrites the file of a folder as earlier versions wrote it, which did not say what it follows.
func asBefore(t *testing.T, dir string, revision uint64) (text []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	wantErr(t, err, nil)
	s, _, _ := decode(text)
	s.previous, s.revision = "", revision
	text, _ = s.encode()
	if head, _, _ := strings.Cut(string(text), "\n"); len(strings.Fields(head)) != 5 {
		t.Fatalf("the head is %q", head)
	}
	put(t, filepath.Join(dir, FileName), text)
	return text
}

// Files of earlier versions are read: as they were written last, and one write ahead of their identity.
func TestFilesWithoutPrevious(t *testing.T) {
	dir := filled(t)
	before, err := ReadCopy(filepath.Join(dir, FileName))
	wantErr(t, err, nil)
	text := asBefore(t, dir, before.Revision)
	_, sum, _ := decode(text)
	identity, err := os.ReadFile(filepath.Join(dir, IdentityName))
	wantErr(t, err, nil)
	m, _ := decodeMark(identity)
	put(t, filepath.Join(dir, IdentityName), mark{m.identity, before.Revision, sum}.encode())
	wantValue(t, dir, "settings", "{\"n\":4}\n\x00\xff é")
	if now, err := os.ReadFile(filepath.Join(dir, FileName)); err != nil || !bytes.Equal(now, text) {
		t.Errorf("reading has changed the file: %v", err)
	}

	waits := mark{identity: m.identity, sum: unwritten} // a process ended behind its first file
	put(t, filepath.Join(dir, IdentityName), waits.encode())
	wantValue(t, dir, "settings", "{\"n\":4}\n\x00\xff é")

	asBefore(t, dir, before.Revision+2)
	wantDamage(t, dir, FileName, "two writes ahead")
	asBefore(t, dir, before.Revision+1)
	change(t, dir, "z", "new")
	wantValue(t, dir, "z", "new")
}

// A file of the form before, put back where copies of today's form are, is an older one.
func TestFormat1BesideNewerCopy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	writeFormat1(t, path, map[string]string{"active/db1": "mbx1"})
	old, err := os.ReadFile(path)
	wantErr(t, err, nil)
	change(t, dir, "active/db1", "mbx2")
	backup(t, dir)
	put(t, path, old)
	wantErr(t, os.Remove(filepath.Join(dir, IdentityName)), nil)
	wantDamage(t, dir, FileName, "an old form")
}

// While the identity cannot be written, the file gets one write ahead of it at most.
func TestFileIsAtMostOneAhead(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	beside := filepath.Join(dir, IdentityName)
	identity, err := os.ReadFile(beside)
	wantErr(t, errors.Join(err, os.Remove(beside), os.Mkdir(beside, 0o700)), nil) // a rename to it fails
	r := set(t, s, "z", 0, "first")
	if _, err := s.CompareAndSet(t.Context(), "z", r, []byte("second")); err == nil {
		t.Error("the file is two writes ahead of its identity")
	}
	wantEntry(t, s, "z", r, "first")
	wantErr(t, errors.Join(s.Close(), os.Remove(beside)), nil)
	put(t, beside, identity)
	wantValue(t, dir, "z", "first")
}

// A change that cannot be written fails and changes nothing, in memory and on the disk.
func TestChangeThatCannotBeWritten(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	path := filepath.Join(dir, FileName)
	whole, identity := pair(t, dir)
	wantErr(t, errors.Join(os.Remove(path), os.Mkdir(path, 0o700)), nil) // a rename to it fails
	before, err := s.Get(t.Context(), "settings")
	wantErr(t, err, nil)
	if _, err := s.CompareAndSet(t.Context(), "settings", before.Revision, []byte("lost")); err == nil {
		t.Error("a change counts that is not on the disk")
	}
	if err := s.Delete(t.Context(), "settings", before.Revision); err == nil {
		t.Error("a deletion counts that is not on the disk")
	}
	wantEntry(t, s, "settings", before.Revision, string(before.Value))
	wantErr(t, os.Remove(path), nil)
	put(t, path, whole)
	if _, now := pair(t, dir); !bytes.Equal(now, identity) {
		t.Error("the identity is about a file that was not written")
	}
	set(t, s, "settings", before.Revision, "new")
	wantErr(t, s.Close(), nil)
	wantValue(t, dir, "settings", "new")
}

// A folder in the place of a file is damage too: nothing can be read from it, or kept.
func TestFolderInPlaceOfAFile(t *testing.T) {
	for _, name := range []string{FileName, IdentityName} {
		dir := filled(t)
		c := backup(t, dir)
		path := filepath.Join(dir, name)
		wantErr(t, errors.Join(os.Remove(path), os.Mkdir(path, 0o700)), nil)
		wantDamage(t, dir, name, "a folder")
		_, err := Restore(dir, c.Path, false, noon, nil)
		if err == nil || !strings.Contains(err.Error(),
			path+" is damaged: it is not a regular file but a folder: move it away first") {
			t.Errorf("error is %v", err)
		}
		wantErr(t, os.Remove(path), nil)
		_, err = Restore(dir, c.Path, false, noon, nil)
		wantErr(t, err, nil)
		wantValue(t, dir, "settings", "{\"n\":4}\n\x00\xff é")
	}
}

// TryWrite fails as the next change would, leaves nothing behind, and brings an identity up to date that is behind.
func TestTryWrite(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	defer s.Close()
	before := files(t, dir)
	wantErr(t, s.TryWrite(), nil)
	if after := files(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("files were %v and are %v", before, after)
	}
	away := dir + ".away"
	wantErr(t, os.Rename(dir, away), nil)
	if err := s.TryWrite(); err == nil || !strings.Contains(err.Error(),
		filepath.Join(dir, FileName)+" cannot be written") {
		t.Errorf("error is %v", err)
	}
	wantErr(t, os.Rename(away, dir), nil)
	beside := filepath.Join(dir, IdentityName)
	wantErr(t, errors.Join(os.Remove(beside), os.Mkdir(beside, 0o700)), nil)
	set(t, s, "z", 0, "new")
	if err := s.TryWrite(); err == nil {
		t.Error("no error, though the identity cannot be written")
	}
	wantErr(t, os.Remove(beside), nil)
	wantErr(t, s.TryWrite(), nil)
	wantErr(t, s.Check(), nil)
}

// Each refusal says exactly what is wrong with which file.
func TestWordsOfDamage(t *testing.T) {
	dir := filled(t) // at revision 5
	path, beside, copied := filepath.Join(dir, FileName), filepath.Join(dir, IdentityName), CopyPath(dir, noon, ByHand)
	words := strings.NewReplacer("PATH", path, "BESIDE", beside, "COPY", copied, "BACKUPS", filepath.Dir(copied))
	older, olderIdentity := pair(t, dir)
	change(t, dir, "z", "new")
	whole, identity := pair(t, dir)
	s, _, _ := decode(whole)
	m, _ := decodeMark(identity)
	another := func(change func(s *state, m *mark)) (text, identity []byte) {
		s, m := s, m
		change(&s, &m)
		text, _ = s.encode()
		return text, m.encode()
	}
	stranger, _ := another(func(s *state, _ *mark) { s.identity = "stranger" })
	unfollowed, _ := another(func(s *state, _ *mark) { s.previous, s.revision = "elsewhere", 9 })
	apart, apartIdentity := another(func(s *state, m *mark) {
		s.entries = map[string]Entry{"a": {Key: "a", Revision: 6}}
		_, m.sum = s.encode()
	})
	old := filepath.Join(t.TempDir(), "old")
	writeFormat1(t, old, map[string]string{"a": "one"})
	format1, err := os.ReadFile(old)
	wantErr(t, err, nil)

	for _, test := range []struct {
		text, identity, copied []byte // nil: there is none
		want                   string
	}{
		{nil, identity, nil, "PATH is damaged: it is missing, although BESIDE says that it existed at revision 6"},
		{nil, nil, whole, "PATH is damaged: it is missing, although there was a store here: BACKUPS has copies of it"},
		{format1, nil, whole,
			"PATH is damaged: it has the format of an earlier Portico, and the copy COPY has the present format"},
		{whole, nil, nil, "PATH is damaged: its identity BESIDE is missing"},
		{whole, []byte("x"), nil, "BESIDE is damaged: it is not as Portico wrote it"},
		{stranger, identity, nil, "PATH is damaged: it is another store: " +
			"its identity is stranger, but BESIDE has " + m.identity},
		{older, identity, nil,
			"PATH is damaged: it is older than what Portico wrote last: revision 5, but BESIDE has 6"},
		{unfollowed, identity, nil, "PATH is damaged: it is not what Portico wrote last: " +
			"it has revision 9, which does not follow revision 6 in BESIDE"},
		{older, olderIdentity, whole, "PATH is damaged: it is older than a copy of it: " +
			"it has revision 5, but COPY has 6"},
		{apart, apartIdentity, whole, "PATH is damaged: it is not the store that COPY is a copy of: " +
			"both have revision 6, but their entries differ"},
	} {
		wantErr(t, makeBackups(dir), nil)
		for at, text := range map[string][]byte{path: test.text, beside: test.identity, copied: test.copied} {
			wantErr(t, removeIfThere(at), nil)
			if text != nil {
				put(t, at, text)
			}
		}
		_, err := ReadOnly(dir)
		if want := "store: " + words.Replace(test.want); err == nil || err.Error() != want {
			t.Errorf("error is %v\nwant     %s", err, want)
		}
	}
}

// What cannot be read is neither damage nor absence: no call goes on without it, and each names it.
func TestUnreadable(t *testing.T) {
	for name, loop := range map[string]func(path string) error{
		FileName:     func(path string) error { return os.Symlink(filepath.Base(path), path) },
		IdentityName: func(path string) error { return os.Symlink(filepath.Base(path), path) },
		BackupsName:  func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			from := filepath.Join(t.TempDir(), "copy")
			_, err := WriteCopy(dir, from)
			wantErr(t, err, nil)
			path := filepath.Join(dir, name)
			wantErr(t, os.RemoveAll(path), nil)
			wantErr(t, loop(path), nil)
			before := files(t, dir)
			for call, try := range map[string]func() error{
				"Open":      func() error { _, err := Open(dir, noon); return err },
				"ReadOnly":  func() error { _, err := ReadOnly(dir); return err },
				"WriteCopy": func() error { _, err := WriteCopy(dir, from+"2"); return err },
				"Restore":   func() error { _, err := Restore(dir, from, false, noon, nil); return err },
			} {
				err := try()
				if err == nil || errors.As(err, new(*Damage)) ||
					!strings.HasPrefix(err.Error(), "store: ") || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: error is %v", call, err)
				}
			}
			delete(before, FileName)
			for name, text := range before {
				if files(t, dir)[name] != text {
					t.Errorf("%s has changed", name)
				}
			}
		})
	}
}

// A copy that cannot be written is no copy of the day: the next call makes it.
func TestDailyCopyThatFails(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	defer s.Close()
	folder := filepath.Join(dir, BackupsName)
	for what, block := range map[string]func() error{
		"nothing can be listed":  func() error { return os.WriteFile(folder, nil, 0o600) },
		"nothing can be written": func() error { return os.Symlink("nowhere", folder) },
	} {
		wantErr(t, block(), nil)
		if made, err := s.BackupDaily(noon, 3); made || err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: made is %v, error is %v", what, made, err)
		}
		wantErr(t, os.Remove(folder), nil)
	}
	if made, err := s.BackupDaily(noon, 3); !made || err != nil {
		t.Errorf("made is %v, error is %v", made, err)
	}

	// a folder that is not empty cannot be removed like a file
	stuck := CopyPath(dir, noon.AddDate(0, 0, -9), BeforeRestore)
	wantErr(t, os.MkdirAll(filepath.Join(stuck, "x"), 0o700), nil)
	if made, err := s.BackupDaily(noon.AddDate(0, 0, 1), 0); !made || err == nil ||
		!strings.Contains(err.Error(), stuck) {
		t.Errorf("with an old copy that stays: made is %v, error is %v", made, err)
	}
}

// A copy outside the folder of copies does not make that folder; a copy inside does.
func TestFolderOfCopiesIsMadeForCopies(t *testing.T) {
	dir := filled(t)
	folder := filepath.Join(dir, BackupsName)
	_, err := WriteCopy(dir, filepath.Join(t.TempDir(), "copy"))
	wantErr(t, err, nil)
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder exists: %v", err)
	}
	_, err = WriteCopy(dir, CopyPath(dir, noon, ByHand))
	wantErr(t, err, nil)
	if got := reasons(t, dir); fmt.Sprint(got) != "[05-04 12h by-hand]" {
		t.Errorf("copies are %v", got)
	}
}

// A file that cannot be replaced leaves nothing beside it.
func TestFailedReplacementLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	wantErr(t, os.Mkdir(path, 0o700), nil)
	if err := ReplaceFile(path, []byte("text")); err == nil {
		t.Error("a folder was replaced")
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// A store that a later version has converted is refused for that, and not for damage.
func TestLaterFormat(t *testing.T) {
	dir := filled(t)
	for _, name := range []string{FileName, IdentityName} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		wantErr(t, err, nil)
		put(t, path, bytes.Replace(text, []byte(" 2 "), []byte(" 3 "), 1))
		_, err = ReadOnly(dir)
		if damage := errors.As(err, new(*Damage)); damage != (name == FileName) {
			t.Errorf("%s: %v", name, err)
		}
		if name == IdentityName && !strings.Contains(err.Error(), "has format 3, which a later version has written") {
			t.Error(err)
		}
	}
}
