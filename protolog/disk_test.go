package protolog

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

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
