package protolog

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

func TestCompression(t *testing.T) {
	testkit.NoLeaks(t)
	c := newClock(noon)
	l := newTestLog(t, everything(t, func(s *FileSettings) { s.Compress = true }), func(o *Options) { o.Now = c.now })
	say(l, 0, testSubject, "yesterday", 0)
	l.comes(t, "yesterday")
	c.move(24 * time.Hour)
	say(l, 0, testSubject, "today", 0)
	testkit.Eventually(t, "the first file is compressed", func() bool {
		return filesIn(t, l.dir()) == "IMAP42026112700-1.LOG.gz IMAP42026112800-1.LOG"
	})
	c.move(24 * time.Hour)
	say(l, 0, testSubject, "tomorrow", 0)
	testkit.Eventually(t, "the second file is compressed too", func() bool {
		return filesIn(t, l.dir()) == "IMAP42026112700-1.LOG.gz IMAP42026112800-1.LOG.gz IMAP42026112900-1.LOG"
	})
	file, err := os.Open(filepath.Join(l.dir(), "IMAP42026112700-1.LOG.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(text), ",yesterday,") {
		t.Errorf("%q, %v", text, err)
	}
	for format, want := range map[Format]string{CSV: ",yesterday,|,today,|,tomorrow,",
		JSON: `"yesterday"|"today"|"tomorrow"`} {
		var found []string
		err := l.Find(t.Context(), Search{Filter: Filter{Session: testSubject.ID}}, format, func(row []byte) error {
			found = append(found, string(row))
			return nil
		})
		words := strings.Split(want, "|")
		if err != nil || len(found) != len(words) {
			t.Fatalf("found %q, %v", found, err)
		}
		for i, word := range words {
			if !strings.Contains(found[i], word) {
				t.Errorf("row %d is %q", i, found[i])
			}
		}
	}
	if err := l.Find(t.Context(), Search{Filter: Filter{Session: "0000000000000000"}}, CSV,
		func([]byte) error { return errors.New("a row") }); err != nil {
		t.Error(err)
	}
	stopped := errors.New("enough")
	if err := l.Find(t.Context(), Search{Filter: Filter{Session: testSubject.ID}}, CSV,
		func([]byte) error { return stopped }); !errors.Is(err, stopped) {
		t.Error(err)
	}
}

// A file that cannot be compressed stays as it is and is reported, and the next one is compressed.
func TestCompressionThatFails(t *testing.T) {
	const name, next = "IMAP42026112600-1.LOG", "IMAP42026112600-2.LOG"
	for what, test := range map[string]struct {
		blocked string // a folder stands in its place
		left    string
	}{
		"the unfinished file": {name + ".gz.tmp", name + " " + name + ".gz.tmp " + next + ".gz"},
		"the compressed file": {name + ".gz", name + " " + name + ".gz " + next + ".gz"},
		"the file itself":     {name, name + " " + next + ".gz"},
	} {
		dir := folder(t, map[string]string{name: rowOf("a"), next: rowOf("b")})
		blocked := filepath.Join(dir, test.blocked)
		if err := errors.Join(os.RemoveAll(blocked), os.MkdirAll(filepath.Join(blocked, "x"), 0o700)); err != nil {
			t.Fatal(err)
		}
		program := &testkit.Log{}
		w := &writer{log: zerolog.New(program)}
		w.pack([]string{filepath.Join(dir, "gone"), filepath.Join(dir, name), filepath.Join(dir, next)})
		if text := program.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, test.blocked) {
			t.Errorf("%s: the program's log:\n%s", what, text)
		}
		if got := filesIn(t, dir); got != test.left {
			t.Errorf("%s: there are %s, want %s", what, got, test.left)
		}
	}
	if err := compress(filepath.Join(t.TempDir(), "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}
