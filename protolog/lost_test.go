package protolog

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newIdleLog returns a log whose work the test does by hand: collect takes events, and written writes what the writer
// has.
func newIdleLog(t *testing.T, c *clock) *Log {
	t.Helper()
	o := Options{
		Settings: Settings{Enabled: true, Files: FileSettings{Location: t.TempDir() + "/log",
			FileSize: SizeUnlimited}},
		Loops: 1, Version: "test", Now: c.now,
	}
	l := &Log{opt: o, settings: o.Settings, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	for range o.Loops + 1 {
		l.rings = append(l.rings, new(Ring))
	}
	n := len(l.rings)
	l.at, l.ends, l.droppedSeen = make([]uint64, n), make([]uint64, n), make([]uint64, n)
	l.demand.Store(new(demand))
	l.writer = newWriter(o, &l.counts)
	l.writer.applySettings()
	l.enforce()
	return l
}

// written writes what waits for the disk.
func (l *Log) written() {
	for len(l.writer.in) > 0 {
		l.writer.write(<-l.writer.in)
	}
}

// missing adds up the rows that lines in the files report as lost.
func missing(t *testing.T, lines []string) (n int) {
	t.Helper()
	for _, line := range lines {
		of, err := strconv.Atoi(strings.Fields(line)[1])
		if err != nil {
			t.Fatal(err)
		}
		n += of
	}
	return n
}

// A row that is lost is counted once, and reported once by a line in the files, whether the ring, the queue or the
// disk had no room for it.
func TestLostRowsAreCountedOnce(t *testing.T) {
	c := newClock(noon)
	l := newIdleLog(t, c)
	said, ring := 0, 0
	for round := range 10 { // the ring is full each time, and the queue after some
		for range ringSize + round {
			if said++; !say(l, 0, testSubject, "noop", 0) {
				ring++
			}
		}
		l.collect()
		l.collect() // there is nothing new
	}
	queue := int(l.counts.dropped[dropQueue].Load())
	if got := int(l.counts.dropped[dropRing].Load()); got != ring || ring != 45 || queue == 0 {
		t.Errorf("the ring has dropped %d of %d, the queue %d", got, ring, queue)
	}
	l.written()
	l.collect()
	l.written()
	rows, lost := rowsIn(t, l.dir())
	if n := missing(t, lost); len(rows)+n != said || n != ring+queue {
		t.Errorf("%d said, %d written; lost %d in the ring and %d in the queue, reported %q", said, len(rows), ring,
			queue, lost)
	}
	if s := l.Status(); int(s.Rows) != len(rows) || int(s.Dropped) != ring+queue {
		t.Errorf("%+v", s)
	}

	// The disk is full for two seconds. It takes the lines that report losses, and of rows all but the last byte.
	before := l.writer.writeAt
	l.writer.writeAt = func(f *os.File, p []byte, at int64) (int, error) {
		if bytes.HasPrefix(p, []byte("#Lost")) {
			return before(f, p, at)
		}
		n, _ := f.WriteAt(p[:len(p)-1], at)
		return n, syscall.ENOSPC
	}
	chunkOf := func(commands ...string) {
		for _, command := range commands {
			say(l, 0, testSubject, command, 0)
		}
		l.collect()
		l.written()
	}
	chunkOf("full", "full")
	chunkOf("full") // it is not tried
	c.move(retryTime)
	chunkOf("full") // behind a line that reports three
	if s := l.Status(); !strings.Contains(s.Failing, syscall.ENOSPC.Error()) || !s.Since.Equal(noon) {
		t.Errorf("on a full disk: %+v", s)
	}
	l.writer.writeAt = before
	c.move(retryTime - time.Nanosecond)
	chunkOf("too early")
	c.move(time.Nanosecond)
	chunkOf("first")
	chunkOf("second")
	after, lines := rowsIn(t, l.dir())
	if len(after) != len(rows)+2 || after[len(rows)][9] != "first" || after[len(rows)+1][9] != "second" {
		t.Errorf("%d rows, then %d", len(rows), len(after))
	}
	if len(lines) != len(lost)+2 || strings.Join(lines[len(lost):], ", ") != "#Lost: 3 rows, #Lost: 2 rows" {
		t.Errorf("reported %q", lines)
	}
	if s, disk := l.Status(), l.counts.dropped[dropDisk].Load(); s.Failing != "" || disk != 5 ||
		int(s.Rows) != len(after) {
		t.Errorf("%d dropped by the disk; %+v", disk, s)
	}
	l.writer.finishFile()
}
