package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filled makes a folder with a store of a few entries.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir)
	for i, key := range []string{"active/db1", "active/db2", "block/mbx1", "log/key", "settings"} {
		set(t, s, key, 0, fmt.Sprintf("{\"n\":%d}\n\x00\xff é", i))
	}
	wantErr(t, s.Close(), nil)
	return dir
}

// files returns what is in a folder, folders and the lock left out.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	wantErr(t, err, nil)
	all := make(map[string]string)
	for _, e := range entries {
		if text, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && e.Name() != lockName {
			all[e.Name()] = string(text)
		}
	}
	return all
}

// wantDamage opens a store that must be refused, with nothing changed.
func wantDamage(t *testing.T, dir, file, what string) *Damage {
	t.Helper()
	before := files(t, dir)
	s, err := Open(dir, noon)
	var damage *Damage
	if !errors.As(err, &damage) {
		if s != nil {
			s.Close()
		}
		t.Fatalf("%s: error is %v, want damage", what, err)
	}
	if damage.File != filepath.Join(dir, file) {
		t.Errorf("%s: error %q is about %s, want %s", what, err, damage.File, file)
	}
	if _, err := ReadOnly(dir); !errors.As(err, &damage) {
		t.Errorf("%s: read-only, the error is %v", what, err)
	}
	if after := files(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Fatalf("%s: the refusal has changed files", what)
	}
	return damage
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	wantErr(t, os.WriteFile(path, text, 0o600), nil)
}

// TestEveryDamage goes through the damages of the store's file and of its identity: each bit
// of each byte the other way, each length, a byte more at each place, and none left.
func TestEveryDamage(t *testing.T) {
	dir := filled(t)
	for _, name := range []string{FileName, IdentityName} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		wantErr(t, err, nil)
		for at := range whole {
			for bit := range 8 {
				changed := bytes.Clone(whole)
				changed[at] ^= 1 << bit
				put(t, path, changed)
				what := fmt.Sprintf("%s, bit %d of byte %d", name, bit, at)
				if bit == 0 {
					wantDamage(t, dir, name, what)
				} else if _, err := ReadOnly(dir); !errors.As(err, new(*Damage)) {
					t.Fatalf("%s: error is %v", what, err)
				}
			}
			put(t, path, append(append(bytes.Clone(whole[:at]), '0'), whole[at:]...))
			wantDamage(t, dir, name, fmt.Sprintf("%s, a byte more at %d", name, at))
			put(t, path, whole[:at])
			wantDamage(t, dir, name, fmt.Sprintf("%s, cut to %d bytes", name, at))
		}
		put(t, path, append(bytes.Clone(whole), '\n'))
		wantDamage(t, dir, name, name+", a byte more")
		wantErr(t, os.Remove(path), nil)
		wantDamage(t, dir, FileName, name+", removed")
		put(t, path, whole)
		open(t, dir).Close()
	}
}

// A damaged entry is named, and the others are not.
func TestDamageNamesTheEntry(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	wantErr(t, err, nil)
	put(t, path, bytes.Replace(text, []byte(`\"n\":2`), []byte(`\"n\":3`), 1))
	damage := wantDamage(t, dir, FileName, "another value")
	if len(damage.Flaws) != 1 || damage.Flaws[0] != (Flaw{4, "block/mbx1", "its checksum does not match"}) {
		t.Errorf("flaws are %v", damage.Flaws)
	}
	content, err := ReadCopy(path)
	if len(content.Entries) != 4 || err == nil {
		t.Errorf("%d entries are whole, and the error is %v", len(content.Entries), err)
	}
}

// Whole entries do not make a whole file.
func TestLinesOutOfPlace(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	wantErr(t, err, nil)
	lines := bytes.SplitAfter(text, []byte("\n"))
	for what, order := range map[string][]int{
		"one is missing": {0, 1, 2, 4, 5, 6}, "one is there twice": {0, 1, 2, 2, 3, 4, 5, 6},
		"two are exchanged": {0, 1, 3, 2, 4, 5, 6},
		"all are missing":   {0, 6}, "the head is missing": {1, 2, 3, 4, 5, 6},
	} {
		var changed []byte
		for _, i := range order {
			changed = append(changed, lines[i]...)
		}
		put(t, path, changed)
		damage := wantDamage(t, dir, FileName, what)
		misplaced := Flaw{Line: 4, Entry: "active/db2", What: "it cannot be read"}
		if what == "two are exchanged" && (len(damage.Flaws) != 1 || damage.Flaws[0] != misplaced) {
			t.Errorf("%s: %v", what, damage.Flaws)
		}
	}
}

// A damaged identity is damage where the file is gone too: a store that starts with defaults would lose what both
// knew.
func TestDamagedIdentityAlone(t *testing.T) {
	dir := filled(t)
	wantErr(t, os.Remove(filepath.Join(dir, FileName)), nil)
	put(t, filepath.Join(dir, IdentityName), []byte("emptied\n"))
	damage := wantDamage(t, dir, IdentityName, "a damaged identity without a file")
	if got := damage.Error(); !strings.Contains(got, "it is not as Portico wrote it") {
		t.Error(got)
	}
}

// One whole entry is enough to restore a damaged file in part; with none there is nothing to restore.
func TestRestoreOfFewEntries(t *testing.T) {
	for whole := range 2 {
		dir := filled(t)
		path := filepath.Join(dir, FileName)
		text, err := os.ReadFile(path)
		wantErr(t, err, nil)
		lines := bytes.SplitAfter(text, []byte("\n"))
		from := filepath.Join(t.TempDir(), "damaged")
		put(t, from, bytes.Join(lines[:1+whole], nil)) // its end is missing
		done, err := Restore(dir, from, true, noon, nil)
		if whole == 0 {
			if !errors.As(err, new(*Damage)) || done.Kept != "" {
				t.Errorf("nothing was restored as %+v, %v", done, err)
			}
			continue
		}
		if err != nil || done.Entries != whole || done.Left == nil || len(done.Changes) != 4 {
			t.Errorf("%+v: %v", done, err)
		}
	}
}

// A whole file that is not the last one is damage too: it would bring old active copies back.
func TestFilesOfOtherTimesAndPlaces(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, FileName)
	older, err := os.ReadFile(path)
	wantErr(t, err, nil)
	s := open(t, dir)
	set(t, s, "z", 0, "new")
	wantErr(t, s.Close(), nil)
	newest, err := os.ReadFile(path)
	wantErr(t, err, nil)

	put(t, path, older)
	wantDamage(t, dir, FileName, "an older file")
	other, err := os.ReadFile(filepath.Join(filled(t), FileName))
	wantErr(t, err, nil)
	put(t, path, other)
	if got := wantDamage(t, dir, FileName, "a file of another store").Error(); !strings.Contains(got,
		"it is another store: its identity is ") {
		t.Error(got)
	}
	old := filepath.Join(t.TempDir(), "bolt")
	writeFormat1(t, old, map[string]string{"a": "one"})
	text, err := os.ReadFile(old)
	wantErr(t, err, nil)
	put(t, path, text)
	wantDamage(t, dir, FileName, "a file of the form before")

	put(t, path, newest)
	open(t, dir).Close()
}

// A process may end between the file and its identity, and before the first file.
func TestInterruptedWrites(t *testing.T) {
	dir := filled(t)
	beside := filepath.Join(dir, IdentityName)
	before, err := os.ReadFile(beside)
	wantErr(t, err, nil)
	s := open(t, dir)
	r := set(t, s, "z", 0, "new")
	wantErr(t, s.Close(), nil)
	put(t, beside, before)
	put(t, filepath.Join(dir, FileName+".123"+unfinished), []byte("half"))
	s = open(t, dir)
	wantEntry(t, s, "z", r, "new")
	wantErr(t, s.Check(), nil)
	wantErr(t, s.Close(), nil)
	put(t, beside, before)
	if s, err := ReadOnly(dir); err != nil {
		t.Error(err)
	} else {
		wantEntry(t, s, "z", r, "new")
	}
	if _, there := files(t, dir)[FileName+".123"+unfinished]; there {
		t.Error("an unfinished file is left")
	}

	dir = t.TempDir()
	put(t, filepath.Join(dir, IdentityName), mark{identity: newIdentity(), sum: unwritten}.encode())
	s = open(t, dir)
	if first, err := ReadCopy(filepath.Join(dir, FileName)); err != nil || first.Revision != 0 {
		t.Errorf("the first file has revision %d, %v", first.Revision, err)
	}
	set(t, s, "a", 0, "one")
	wantErr(t, s.Close(), nil)
	wantValue(t, dir, "a", "one")
}

// A new store writes its identity before its first file. A kill between the two leaves a folder that can be opened.
func TestKilledBeforeTheFirstFileIsKnown(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		wantErr(t, child.Start(), nil)
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			if _, err := os.Lstat(filepath.Join(dir, FileName)); err == nil {
				break
			}
		}
		child.Process.Kill()
		child.Wait() // reports the kill
		open(t, dir).Close()
	}
	dir := t.TempDir()
	open(t, dir).Close()
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	wantErr(t, err, nil)
	if first, _, _ := decode(text); first.previous != unwritten {
		t.Errorf("the first file follows %q, want an identity without a file", first.previous)
	}
}

// What happens to the file while a process has the store open is found out too.
func TestCheckWhileOpen(t *testing.T) {
	dir := filled(t)
	s := open(t, dir)
	defer s.Close()
	wantErr(t, s.Check(), nil)
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	wantErr(t, err, nil)
	for what, damage := range map[string]func() error{
		"cut":     func() error { return os.Truncate(path, 100) },
		"removed": func() error { return os.Remove(path) },
		"another": func() error {
			later, _, _ := decode(text)
			later.revision++
			changed, _ := later.encode()
			return ReplaceFile(path, changed)
		},
	} {
		wantErr(t, damage(), nil)
		var found *Damage
		if err := s.Check(); !errors.As(err, &found) {
			t.Errorf("%s: error is %v", what, err)
		}
		put(t, path, text)
	}
	wantErr(t, s.Check(), nil)
}

// Without a readable first line and an identity, revisions go on from the highest entry's: watchers have seen it.
func TestRevisionsGoOnBehindADamagedHead(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, FileName)
	whole, err := os.ReadFile(path)
	wantErr(t, err, nil)
	before, err := ReadCopy(path)
	wantErr(t, err, nil)
	_, entries, _ := bytes.Cut(whole, []byte("\n"))
	put(t, path, append([]byte("no head\n"), entries...))
	wantErr(t, os.Remove(filepath.Join(dir, IdentityName)), nil)

	_, err = ReadCopy(path)
	if want := "store: " + path + " is damaged: it is not a Portico store"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	done, err := Restore(dir, path, true, noon, nil)
	wantErr(t, err, nil)
	if done.Entries != len(before.Entries) || done.Revision != before.Revision+1 {
		t.Errorf("%d entries at revision %d, want %d at %d", done.Entries, done.Revision, len(before.Entries),
			before.Revision+1)
	}
	s := open(t, dir)
	defer s.Close()
	if next := set(t, s, "a", 0, "one"); next <= before.Revision {
		t.Errorf("revision %d was used before the damage", next)
	}
}
