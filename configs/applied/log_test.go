package applied

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func begin(t *testing.T, l *Log, text, file string) int {
	t.Helper()
	number, err := l.Begin(Record{Time: now, Who: "ann", Result: Watched}, []byte(text), []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func started(t *testing.T, dir, text string) *Log {
	t.Helper()
	l := open(t, dir)
	if err := l.Start(Record{Time: now, Who: "start", Result: Started}, []byte(text), []byte(text)); err != nil {
		t.Fatal(err)
	}
	return l
}

func end(t *testing.T, l *Log, number int, result Result, current int) {
	t.Helper()
	if err := l.End(number, result, "", current); err != nil {
		t.Fatal(err)
	}
}

// takes returns the text that a start takes from the operators' file and from what is kept.
func takes(t *testing.T, dir, file string) string {
	t.Helper()
	l := open(t, dir)
	if decided, _ := l.Decided([]byte(file)); !decided {
		return file
	}
	text, err := l.Text(l.Current())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A start takes the configuration applied last, at each moment of an apply, unless the file was edited since.
func TestWhatAStartTakes(t *testing.T) {
	dir := t.TempDir()
	want := func(when, file, text string) {
		t.Helper()
		if got := takes(t, dir, file); got != text {
			t.Errorf("%s, with the file %q: a start takes %q, want %q", when, file, got, text)
		}
	}
	want("at first", "one", "one")
	l := started(t, dir, "one")
	want("after a start", "one", "one")
	want("after a start", "edited", "edited")

	number := begin(t, l, "two", "two") // the file in its place
	want("while it is watched", "two", "one")
	end(t, l, number, Applied, number)
	want("when it is applied", "two", "two")

	number = begin(t, l, "three", "three")
	end(t, l, number, Withdrawn, number-1)
	want("when it was put back", "three", "two")
	want("when it was put back", "three, mended", "three, mended")

	number = begin(t, l, "four", "three") // another file
	end(t, l, number, Applied, number)
	want("when another file was applied", "three", "four")

	number = begin(t, l, "five", "five")
	end(t, l, number, Refused, number-1)
	want("when it was refused", "five", "four")
	if decided, refused := l.Decided([]byte("five")); !decided || !refused {
		t.Errorf("decided is %v, refused %v", decided, refused)
	}

	number = begin(t, l, "six", "six")
	if err := l.Start(Record{Time: now, Who: "start", Result: Started}, []byte("four"), []byte("six")); err != nil {
		t.Fatal(err)
	}
	if r, _ := l.Record(number); r.Result != Interrupted {
		t.Errorf("after a start it is %s", r.Result)
	}
	want("after a start in between", "six", "four")
}

// Of more than twenty, the oldest go, but those first that were refused, and never the current one.
func TestMost(t *testing.T) {
	dir := t.TempDir()
	l := started(t, dir, "the first")
	for i := range 3 * Most {
		number := begin(t, l, fmt.Sprint("text ", i), "file")
		result := Refused
		if i == 1 || i > 2*Most+2 {
			result = Withdrawn
		}
		end(t, l, number, result, 1)
	}
	records := open(t, dir).Records()
	if len(records) != Most || records[Most-1].Number != 1 || records[0].Number != 3*Most+1 {
		t.Errorf("%d records: %+v", len(records), records)
	}
	if _, kept := l.Record(3); !kept {
		t.Error("one that was in force has gone before those that were refused")
	}
	for _, r := range records {
		if _, err := l.Text(r.Number); err != nil {
			t.Error(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, Folder))
	if err != nil || len(files) != Most+1 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// Damage of any byte is noticed, and nobody else may read what is kept.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	l := started(t, dir, "one")
	for _, name := range []string{"index", "1.yaml"} {
		path := filepath.Join(dir, Folder, name)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			damaged := append([]byte(nil), whole...)
			damaged[i] ^= 1
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if name != "index" {
				_, err = l.Text(1)
			}
			if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d of %s: %v", i, name, err)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
