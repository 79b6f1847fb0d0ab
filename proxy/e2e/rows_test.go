package e2e

import (
	"context"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"portico/protolog"
)

var update = flag.Bool("update", false, "rewrite the protocol log's rows of the dialogues")

// rowsText ends the front end and returns what its protocol log has, as it stands in the files.
func (f *frontEnd) rowsText() string {
	f.t.Helper()
	f.server.Close()
	f.rows.Close()
	files, err := filepath.Glob(filepath.Join(f.rowsDir, "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// phases are the times in a row's context.
var phases = regexp.MustCompile(`(Directory|Dial|TLS|Greeting|SignIn)=[0-9.]+`)

// addresses differ from run to run.
var addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// sameRows ends the front end and compares its protocol log with the one that is kept for a dialogue. Of a real
// server the sizes of answers are left out: it tells times in them. So is that of a line that is too long: it may say
// so before it has read the end.
func (f *frontEnd) sameRows(d dialogue) {
	f.t.Helper()
	r := csv.NewReader(strings.NewReader(f.rowsText()))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		f.t.Fatal(err)
	}
	var got strings.Builder
	w := csv.NewWriter(&got)
	for _, row := range rows {
		row[0], row[1], row[6] = "TIME", "SESSION", "MS"
		if d.script == "" && row[8] != "0" {
			row[8] = "SIZE"
		}
		if n, _ := strconv.Atoi(row[7]); n > longestLine && strings.Contains(row[11], `R="BAD"`) {
			row[7] = "LONG"
		}
		for i := range row {
			row[i] = addresses.ReplaceAllString(row[i], "ADDRESS")
			row[i] = phases.ReplaceAllString(row[i], "$1=MS")
			row[i] = user.ReplaceAllString(row[i], "USER")
		}
		w.Write(row)
	}
	w.Flush()
	file := filepath.Join("testdata", "rows", d.name+".csv")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		f.t.Fatal(err)
	}
	if got.String() != string(want) {
		f.t.Errorf("%s:\n%s\nhas now:\n%s", file, want, got.String())
	}
	if len(rows) > 0 && len(rows[0]) != len(protolog.Fields) {
		f.t.Errorf("%d fields", len(rows[0]))
	}
}

// longestLine is the longest command that Dovecot takes (imap_max_line_length).
const longestLine = 64 << 10

var user = regexp.MustCompile(`user\d{3}`)

// watch watches the protocol log from here on. What it returns ends that, when the log is closed, and tells what came.
func (f *frontEnd) watch() func() string {
	f.t.Helper()
	tail, err := f.rows.Tail(protolog.Filter{}, protolog.JSON)
	if err != nil {
		f.t.Fatal(err)
	}
	came := make(chan string)
	go func() {
		var all []byte
		for {
			rows, lost, err := tail.Next(context.Background(), nil)
			if all = append(all, rows...); lost > 0 {
				all = append(all, protolog.LostLine(protolog.JSON, lost)...)
			}
			if err != nil {
				came <- string(all)
				return
			}
		}
	}()
	return func() string { return <-came }
}
