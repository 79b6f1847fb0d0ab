package proxy

import (
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/protolog"
	"portico/proxy/relay"

	"github.com/rs/zerolog"
)

// Where only some commands are wanted, neither others nor the end of the session have a row. They are numbered
// nevertheless.
func TestRowsOfOneCommandAlone(t *testing.T) {
	testkit.NoLeaks(t)
	rows, err := protolog.New(protolog.Options{Loops: 1, Log: zerolog.Nop(),
		Settings: protolog.Settings{Files: protolog.FileSettings{Location: t.TempDir(), RollOver: protolog.Monthly}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rows.Close)
	tail, err := rows.Tail(protolog.Filter{Command: "noop"}, protolog.CSV)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	subject := protolog.Subject{ID: "0123456789abcdef", User: "ann", Server: "mbx1"}
	w := &watcher{log: rows, ring: rows.Ring(0), match: rows.Match(subject), session: rows.Session(subject), number: 7}
	w.Finished(&relay.Finished{Name: "select"})
	w.Finished(&relay.Finished{Name: "noop"})
	w.Ended(relay.Ending{})
	w.Finished(&relay.Finished{Name: "noop"}) // no session has one then; it shows that no row of the end came before
	var got string
	for strings.Count(got, "\n") < 2 {
		more, lost, err := tail.Next(t.Context(), nil)
		if err != nil || lost > 0 {
			t.Fatalf("%d lost, %v", lost, err)
		}
		got += string(more)
	}
	var found []string
	for line := range strings.Lines(got) {
		row, err := protolog.ParseRow([]byte(strings.TrimSuffix(line, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, row[2]+" "+row[9])
	}
	if want := "8 noop, 10 noop"; strings.Join(found, ", ") != want {
		t.Errorf("rows are %q, want %s", found, want)
	}
}
