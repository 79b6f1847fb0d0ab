package protolog

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
