package protolog

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

func TestPeriods(t *testing.T) {
	at := time.Date(2026, 11, 29, 23, 59, 59, 0, time.UTC) // a Sunday
	for period, want := range map[RollOver]string{Hourly: "2026112923", Daily: "2026112900", Weekly: "2026112300",
		Monthly: "2026110100"} {
		if got := period.start(at); got.Format("20060102 15:04:05.999999999") != want[:8]+" "+want[8:]+":00:00" {
			t.Errorf("%d begins at %v, want %s", period, got, want)
		}
		next := map[RollOver]string{Hourly: "2026113000", Daily: "2026113000", Weekly: "2026113000",
			Monthly: "2026110100"}[period]
		if got := period.start(at.Add(time.Second)).Format(stampForm); got != next {
			t.Errorf("%d, a second later: %s, want %s", period, got, next)
		}
		east := at.In(time.FixedZone("east", 5*60*60))
		if got := period.start(east).Format(stampForm); got != want {
			t.Errorf("%d in another zone: %s", period, got)
		}
	}
}

// filesIn lists a folder's files, whatever they are.
func filesIn(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// settings returns everything on, in a folder of the test's, with changes.
func everything(t testing.TB, change func(*FileSettings)) func(*Options) {
	dir := filepath.Join(t.TempDir(), "log")
	return func(o *Options) {
		o.Settings = Settings{Enabled: true, Files: FileSettings{Location: dir, RollOver: Daily}}
		change(&o.Settings.Files)
	}
}

func TestRollOver(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*FileSettings)
		want   string
	}{
		"hourly": {func(s *FileSettings) { s.RollOver = Hourly },
			"IMAP42026112712-1.LOG IMAP42026112713-1.LOG IMAP42026112800-1.LOG IMAP42026113012-1.LOG"},
		"daily": {func(s *FileSettings) { s.RollOver = Daily },
			"IMAP42026112700-1.LOG IMAP42026112800-1.LOG IMAP42026113000-1.LOG"},
		"weekly":  {func(s *FileSettings) { s.RollOver = Weekly }, "IMAP42026112300-1.LOG IMAP42026113000-1.LOG"},
		"monthly": {func(s *FileSettings) { s.RollOver = Monthly }, "IMAP42026110100-1.LOG"},
		"by size": {func(s *FileSettings) { s.FileSize = 250 },
			"IMAP42026112712-1.LOG IMAP42026112713-1.LOG IMAP42026112800-1.LOG IMAP42026113012-1.LOG"},
		"unlimited": {func(s *FileSettings) { s.FileSize = SizeUnlimited }, "IMAP42026112712-1.LOG"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			testkit.NoLeaks(t)
			c := newClock(noon)
			l := newTestLog(t, everything(t, test.change), func(o *Options) { o.Now = c.now })
			for i, wait := range []time.Duration{time.Hour, 11 * time.Hour, 60 * time.Hour, 0} {
				say(l, 0, testSubject, strconv.Itoa(i), 0)
				l.comes(t, "0 1 2 3"[:2*i+1])
				c.move(wait)
			}
			if got := filesIn(t, l.dir()); got != test.want {
				t.Errorf("there are %s, want %s", got, test.want)
			}
			for _, name := range strings.Fields(test.want) {
				text, err := os.ReadFile(filepath.Join(l.dir(), name))
				if err != nil || !strings.HasPrefix(string(text),
					"#Software: Portico\n#Version: test\n#Log-type: IMAP4 Log\n#Date: 2026-11-") ||
					!strings.Contains(string(text), "Z\n"+Heading()+"2026-11-") {
					t.Errorf("%s, %v: %.200s", name, err, text)
				}
			}
		})
	}
}

// A file is gone on with after a restart, unless it is done or of another form.
func TestGoingOn(t *testing.T) {
	testkit.NoLeaks(t)
	c := newClock(noon)
	setting := everything(t, func(*FileSettings) {})
	run := func(command string, change func(*Options)) string {
		l := newTestLog(t, setting, func(o *Options) { o.Now = c.now }, change)
		say(l, 0, testSubject, command, 0)
		l.Close()
		return filesIn(t, l.dir())
	}
	same := func(*Options) {}
	run("a", same)
	if got := run("b", same); got != "IMAP42026112700-1.LOG" {
		t.Errorf("after a restart: %s", got)
	}
	if got := run("c",
		func(o *Options) { o.Settings.Format = JSON }); got != "IMAP42026112700-1.LOG IMAP42026112700-2.LOG" {
		t.Errorf("with another form: %s", got)
	}
	if got := run("d",
		func(o *Options) { o.Settings.Format = JSON; o.Settings.Files.FileSize = 10 }); !strings.HasSuffix(got,
		" IMAP42026112712-1.LOG") {
		t.Errorf("a file that is large enough: %s", got)
	}
	c.move(-24 * time.Hour)
	if got := run("e", same); !strings.HasSuffix(got, " IMAP42026112712-1.LOG IMAP42026112712-2.LOG") {
		t.Errorf("a clock that was set back: %s", got)
	}
}

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

func TestRepair(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"IMAP42026112600-1.LOG":        "#x\nrow\nro",
		"IMAP42026112600-2.LOG":        "ro",
		"IMAP42026112600-3.LOG":        "row\n",
		"IMAP42026112600-4.LOG":        strings.Repeat("x", 10_000) + "\n" + strings.Repeat("y", 10_000),
		"IMAP42026112600-5.LOG":        "both",
		"IMAP42026112600-5.LOG.gz":     "both",
		"IMAP42026112600-6.LOG":        "row\n",
		"IMAP42026112600-6.LOG.gz.tmp": "half",
		"notes.txt":                    "no line end",
		"notes.LOG.gz.tmp":             "not ours",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := repair(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"IMAP42026112600-1.LOG": "#x\nrow\n", "IMAP42026112600-2.LOG": "", "IMAP42026112600-3.LOG": "row\n",
		"IMAP42026112600-4.LOG":    strings.Repeat("x", 10_000) + "\n",
		"IMAP42026112600-5.LOG.gz": "both", "IMAP42026112600-6.LOG": "row\n", "notes.txt": "no line end",
		"notes.LOG.gz.tmp": "not ours",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %.40q, %v", name, got, err)
		}
	}
	if got := filesIn(t, dir); strings.Contains(got, "5.LOG ") || strings.Contains(got, "6.LOG.gz.tmp") {
		t.Errorf("there are %s", got)
	}
	if err := repair(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

// On a full disk rows are dropped and counted, none is torn, and writing goes on by itself when there is room.
func TestFullDisk(t *testing.T) {
	testkit.NoLeaks(t)
	dir, free := testkit.SmallDisk(t)
	program := &testkit.Log{}
	l := newTestLog(t, func(o *Options) {
		o.Settings = Settings{Enabled: true, Files: FileSettings{Location: filepath.Join(dir, "log"),
			RollOver: Monthly}}
		o.Log = zerolog.New(program)
	})
	said := 0
	more := func() {
		for range 50 {
			if say(l, said%2, testSubject, "noop", 0) {
				said++
			}
		}
		time.Sleep(2 * lookPeriod)
	}
	testkit.Eventually(t, "the disk is full", func() bool {
		more()
		return l.Status().Failing != ""
	})
	if s := l.Status(); s.Dropped == 0 || s.Since.IsZero() || s.Rows == 0 {
		t.Errorf("%+v", s)
	}
	free()
	testkit.Eventually(t, "writing goes on", func() bool {
		more()
		return l.Status().Failing == ""
	})
	l.Close()
	rows, lost := rowsIn(t, l.dir())
	missing := 0
	for _, line := range lost {
		n, err := strconv.Atoi(strings.Fields(line)[1])
		if err != nil {
			t.Fatal(err)
		}
		missing += n
	}
	if len(rows)+missing != said || len(lost) != 1 || int(l.Status().Rows) != len(rows) {
		t.Errorf("%d rows said, %d written, %q; %+v", said, len(rows), lost, l.Status())
	}
	text := program.String()
	if strings.Count(text, "cannot write the protocol log") != 1 ||
		strings.Count(text, "protocol log writable again") != 1 {
		t.Errorf("the program's log:\n%s", text)
	}
}

// A folder that is taken away is made again; one that cannot be made is a failure that ends by itself.
func TestFolderGone(t *testing.T) {
	testkit.NoLeaks(t)
	l := newTestLog(t, func(o *Options) { o.Settings.Enabled = true })
	say(l, 0, testSubject, "a", 0)
	l.comes(t, "a")
	if err := os.RemoveAll(l.dir()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "rows go to a new file", func() bool {
		say(l, 0, testSubject, "b", 0)
		time.Sleep(2 * lookPeriod)
		return strings.HasPrefix(commandsIn(t, l.dir()), "b")
	})
	above := filepath.Dir(l.dir())
	if err := os.Rename(above, above+".away"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is a failure", func() bool {
		say(l, 0, testSubject, "c", 0)
		time.Sleep(2 * lookPeriod)
		return l.Status().Failing != ""
	})
	if err := os.Rename(above+".away", above); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it goes on", func() bool {
		say(l, 0, testSubject, "d", 0)
		time.Sleep(2 * lookPeriod)
		return l.Status().Failing == "" && strings.HasSuffix(commandsIn(t, l.dir()), "d")
	})
}

// A disk that hangs holds up nobody: who puts events finds room, who watches sees them, and what the disk did not take
// is told.
func TestStalledDisk(t *testing.T) {
	testkit.NoLeaks(t)
	l := newTestLog(t, func(o *Options) { o.Settings.Enabled = true })
	hang, hangs := make(chan struct{}), atomic.Bool{}
	hangs.Store(true)
	before := l.writer.writeAt
	l.writer.writeAt = func(f *os.File, p []byte, at int64) (int, error) {
		if hangs.Load() {
			<-hang
		}
		return before(f, p, at)
	}
	tail, err := l.Tail(Filter{Command: "last"}, CSV)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	said := 0
	testkit.Eventually(t, "the queue is full", func() bool {
		for range 1000 {
			if say(l, 0, testSubject, "noop", 0) {
				said++
			}
		}
		time.Sleep(2 * lookPeriod)
		return l.counts.dropped[dropQueue].Load() > 0
	})
	if !say(l, 0, testSubject, "last", 0) {
		t.Error("no room in the ring")
	}
	said++
	(&tailed{t: t, tail: tail}).comes("last")
	hangs.Store(false)
	close(hang)
	l.Close()
	rows, lost := rowsIn(t, l.dir())
	missing := 0
	for _, line := range lost {
		n, _ := strconv.Atoi(strings.Fields(line)[1])
		missing += n
	}
	if missing == 0 || len(rows)+missing != said {
		t.Errorf("%d said, %d written, lost %q", said, len(rows), lost)
	}
}

// childDir names the folder in which a child process writes until it is killed.
const childDir = "PORTICO_PROTOLOG_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// writeForEver writes numbered rows and tells how many are in the files.
func writeForEver(dir string) {
	l, err := New(Options{Settings: Settings{Enabled: true,
		Files: FileSettings{Location: dir, FileSize: 100 << 10, Compress: true}}, Loops: 1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for n := 1; ; n++ {
		for !say(l, 0, testSubject, strconv.Itoa(n), 0) {
			time.Sleep(time.Millisecond)
		}
		if n%20 != 0 {
			continue
		}
		time.Sleep(time.Millisecond)
		if rows := l.Status().Rows; rows > 0 {
			fmt.Println(rows)
		}
	}
}

// TestKill kills a writing process again and again. No row is torn afterwards, none is missing between others, and
// none that was counted as written.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	for round := range 4 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			if last == 0 {
				time.AfterFunc(time.Duration(100+37*round)*time.Millisecond, func() { child.Process.Kill() })
			}
			last = n
		}
		child.Wait() // reports the kill
		if last == 0 {
			t.Fatal("the child wrote nothing")
		}
		l := newTestLog(t, func(o *Options) { o.Settings.Files.Location = dir })
		var got []int
		err = l.Find(t.Context(), Search{Filter: Filter{Session: testSubject.ID}}, CSV, func(row []byte) error {
			fields, err := ParseRow(row[:len(row)-1])
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(fields[9])
			got = append(got, n)
			return err
		})
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		names, err := listFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if text, err := os.ReadFile(filepath.Join(dir, name.String())); err != nil ||
				!name.gz && len(text) > 0 && text[len(text)-1] != '\n' {
				t.Errorf("%s is torn (%v)", name, err)
			}
		}
		// Each round begins at 1 again.
		from := 0
		for i, n := range got {
			if n == 1 {
				from = i
			} else if n != got[i-1]+1 {
				t.Fatalf("round %d: %d behind %d", round, n, got[i-1])
			}
		}
		if mine := got[from:]; len(mine) < last || !slices.Contains(mine, last) {
			t.Errorf("round %d: %d rows, %d were counted", round, len(mine), last)
		}
	}
}
