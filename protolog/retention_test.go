package protolog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

func TestRetention(t *testing.T) {
	testkit.NoLeaks(t)
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	old := func(name string, size int, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat("#\n", size/2)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, noon, noon.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	old("IMAP42026110100-1.LOG.gz", 10, 26*24*time.Hour)
	old("IMAP42026112000-1.LOG", 400, 7*24*time.Hour)
	old("IMAP42026112000-10.LOG", 400, 6*24*time.Hour)
	old("IMAP42026112000-9.LOG", 400, 6*24*time.Hour)
	old("IMAP42026112500-1.LOG", 400, 2*24*time.Hour)
	old("IMAP4BE2026110100-1.LOG", 400, 26*24*time.Hour) // not ours
	old("notes.txt", 400, 300*24*time.Hour)
	c := newClock(noon)
	program := &testkit.Log{}
	l := newTestLog(t, func(o *Options) {
		o.Now, o.Log = c.now, zerolog.New(program)
		o.Settings = Settings{Enabled: true, Files: FileSettings{Location: dir, RollOver: Daily,
			Age: 10 * 24 * time.Hour, TotalSize: 1300}}
	})
	say(l, 0, testSubject, "noop", 0)
	// Too old is the first, too much the second: what is there now takes some 300 bytes.
	testkit.Eventually(t, "old files are gone", func() bool {
		return filesIn(t,
			dir) == "IMAP42026112000-10.LOG IMAP42026112500-1.LOG IMAP42026112700-1.LOG "+
			"IMAP4BE2026110100-1.LOG notes.txt"
	})
	l.Configure(Settings{Enabled: true, Files: FileSettings{Location: dir, RollOver: Daily, TotalSize: 1}})
	testkit.Eventually(t, "all but the current one is gone", func() bool {
		return filesIn(t, dir) == "IMAP42026112700-1.LOG IMAP4BE2026110100-1.LOG notes.txt"
	})
	l.Close()
	if text := program.String(); text != "" { // no file is deleted twice
		t.Errorf("the program's log:\n%s", text)
	}
}

// A file that is gone when its turn comes keeps the others from nothing.
func TestRetentionOfWhatIsGone(t *testing.T) {
	testkit.NoLeaks(t)
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	gone, old := "IMAP42026110100-1.LOG", filepath.Join(dir, "IMAP42026110200-1.LOG")
	if err := os.Symlink("nowhere", filepath.Join(dir, gone)); err != nil { // listed, and nothing is there
		t.Fatal(err)
	}
	if err := os.WriteFile(old, []byte("#\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, noon, noon.Add(-20*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	c := newClock(noon)
	program := &testkit.Log{}
	l := newTestLog(t, func(o *Options) {
		o.Now, o.Log = c.now, zerolog.New(program)
		o.Settings = Settings{Enabled: true, Files: FileSettings{Location: dir, RollOver: Daily,
			Age: 10 * 24 * time.Hour, Compress: true}}
	})
	say(l, 0, testSubject, "noop", 0)
	testkit.Eventually(t, "the old file is gone",
		func() bool { return filesIn(t, dir) == gone+" IMAP42026112700-1.LOG" })
	l.Close()
	if text := program.String(); text != "" {
		t.Errorf("the program's log:\n%s", text)
	}
	if _, err := l.Tail(Filter{}, CSV); !errors.Is(err, ErrClosed) {
		t.Errorf("a tail of a closed log: %v", err)
	}
}
