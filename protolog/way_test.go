package protolog

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
)

// A process hands the folder to the next one: no row is lost, none is in two files, and only one process at a time
// writes there. If the next one ends, the first one writes again.
func TestRowsOfTwoProcesses(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir() + "/log"
	synctest.Test(t, func(t *testing.T) {
		open := func() *Log {
			l, err := New(Options{Settings: Settings{Enabled: true, Files: FileSettings{Location: dir}}, Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		expect := func(when string, want ...string) {
			t.Helper()
			time.Sleep(time.Second) // the rings are read and the rows written
			synctest.Wait()
			if got := commandsIn(t, dir); got != strings.Join(want, " ") {
				t.Errorf("%s: the files have %q, want %q", when, got, want)
			}
		}
		old := open()
		defer old.Close()
		row := func(l *Log, command string) {
			t.Helper()
			if !say(l, 0, Subject{User: "ann"}, command, 0) {
				t.Fatal("not logged")
			}
		}
		row(old, "first")
		expect("alone", "first")
		old.Hold()
		row(old, "held")
		expect("held", "first")

		next := open()
		row(next, "next's")
		expect("with the next", "first", "next's")
		gone := errors.New("the next one has ended")
		var failure error
		old.Divert(func(r Rows) error {
			if failure == nil {
				r.Text = slices.Clone(r.Text)
				next.Take(r)
			}
			return failure
		})
		row(old, "diverted")
		expect("diverted", "first", "next's", "held", "diverted")
		next.Close()
		failure = gone
		row(old, "alone-again")
		row(old, "and-again")
		expect("without the next", "first", "next's", "held", "diverted", "alone-again", "and-again")
		old.Hold()
		row(old, "last")
		old.Close()
		expect("closed", "first", "next's", "held", "diverted", "alone-again", "and-again", "last")
	})
}
