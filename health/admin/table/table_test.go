package table

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func written(t *testing.T, table *Table, s Style, value any) string {
	t.Helper()
	var out bytes.Buffer
	if err := table.Write(&out, s, value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sample has an empty cell, one of letters that take two columns, and one that could change what a terminal shows.
func sample() *Table {
	t := New("Name", "State", "Note").Wide("Since")
	t.AddNamed("srv/mbx1", "mbx1", "", "a note that is longer than all the others are", "today")
	t.Add("邮件", "up", "ends here", "")
	t.Add("m\x1b[2J", "down", "", "then")
	return t
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		name  string
		style Style
		want  string
	}{
		{"plain", Style{}, "" +
			"Name      State  Note\n" +
			"mbx1      -      a note that is longer than all the others are\n" +
			"邮件      up     ends here\n" +
			`m\x1b[2J  down   -` + "\n"},
		{"cut", Style{Width: 40}, "" +
			"Name      State  Note\n" +
			"mbx1      -      a note that is longer…\n" +
			"邮件      up     ends here\n" +
			`m\x1b[2J  down   -` + "\n"},
		{"wide is not cut, and has no heads if it is to have none", Style{Form: Wide, Width: 40, NoHeaders: true}, "" +
			"mbx1      -     a note that is longer than all the others are  today\n" +
			"邮件      up    ends here                                      -\n" +
			`m\x1b[2J  down  -                                              then` + "\n"},
		{"names", Style{Form: Name}, "srv/mbx1\n邮件\n" + `m\x1b[2J` + "\n"},
		{"json", Style{Form: JSON}, "{\n  \"a\": \"\\u001b\\u202e\"\n}\n"},
	} {
		got := written(t, sample(), c.style, map[string]string{"a": "\x1b\u202e"})
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// A second column is there only if a row has something in it.
func TestSecond(t *testing.T) {
	table := New("Name", "State").Wide("Since")
	table.Add("mbx1", "up", "today")
	table.Add("mbx2", "up", "")
	if got := written(t, table.Second("Node", []string{"", ""}), Style{}, nil); got != "Name  State\nmbx1  up\n"+
		"mbx2  up\n" {
		t.Errorf("%s", got)
	}
	if got := written(t, table.Second("Node", []string{"mx1", "\x1b"}), Style{Form: Wide}, nil); got != ""+
		"Name  Node  State  Since\n"+
		"mbx1  mx1   up     today\n"+
		`mbx2  \x1b  up     -`+"\n" {
		t.Errorf("%s", got)
	}
	if got := written(t, New("Name").Second("Node", nil), Style{}, nil); got != "Name\n" {
		t.Errorf("%s", got)
	}
}

func TestList(t *testing.T) {
	table := New("Name", "State").Wide("Since")
	table.Add("mbx1", "up", "")
	table.Add("mbx2", "down", "today")
	if got, want := written(t, table, Style{Form: List},
		nil), "Name  : mbx1\nState : up\nSince :\n\nName  : mbx2\nState : down\nSince : today\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Whatever is in a table, no line is longer than the terminal, each cut one has a mark, and the name of a row is the
// last to be cut.
func TestNoLineIsTooLong(t *testing.T) {
	table := New("Identity", "AverageCommandProcessingTime", "B", "C", "D")
	table.Add("IMAP.Protocol/ImapSelfTestMonitor", strings.Repeat("x", 100), "y", strings.Repeat("邮", 60), "")
	for width := 1; width < 160; width++ {
		for line := range strings.Lines(written(t, table, Style{Width: width}, nil)) {
			line = strings.TrimSuffix(line, "\n")
			if n := displayWidth(line); n > width {
				t.Fatalf("at %d columns a line takes %d: %s", width, n, line)
			}
			if strings.Contains(line, "xx") && !strings.Contains(line, cutMark) {
				t.Fatalf("at %d columns it is cut without a mark: %s", width, line)
			}
			if width > 70 && strings.HasPrefix(line, "IMAP") &&
				!strings.HasPrefix(line, "IMAP.Protocol/ImapSelfTestMonitor ") {
				t.Fatalf("at %d columns the name is cut: %s", width, line)
			}
		}
	}
}

// Heads that are wider than their cells are cut before any cell is.
func TestHeadsAreCutFirst(t *testing.T) {
	table := New("Name", "AverageProcessingTime", "Note")
	table.Add("mbx1", "12ms", "twelve letters")
	if got, want := written(t, table, Style{Width: 28},
		nil), "Name  Aver…  Note\nmbx1  12ms   twelve letters\n"; !strings.HasPrefix(got, "Name  Av") ||
		!strings.HasSuffix(got, "twelve letters\n") {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Rows that come over time are aligned with those before, and no line is too long.
func TestFlow(t *testing.T) {
	var out bytes.Buffer
	flow := New("User", "Took").Wide("Session").Flow(&out, Style{Width: 12})
	for _, cells := range [][]string{{"a", "1ms", "s"}, {"alice", "2ms", "s"}, {"b", "", "s"},
		{"someone.else", "4ms", "s"}} {
		if err := flow.Add(cells[2], cells...); err != nil {
			t.Fatal(err)
		}
	}
	if want := "User  Took\na     1ms\nalice  2ms\nb      -\nsomeo…  4ms\n"; out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	flow = New("User").Wide("Session").Flow(&out, Style{Form: List})
	for _, user := range []string{"a", "b"} {
		if err := flow.Add(user, user, "s"); err != nil {
			t.Fatal(err)
		}
	}
	if want := "User    : a\nSession : s\n\nUser    : b\nSession : s\n"; out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

// What Time shows says its zone, and is taken back.
func TestTime(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 5, 0, time.FixedZone("", 5*3600+1800))
	for _, text := range []string{Time(at), "2026-07-01 12:00:05+05:30", "2026-07-01T06:30:05Z",
		"2026-07-01 06:30:05Z", "2026-07-01 08:30:05+02"} {
		if got, err := ParseTime(text); err != nil || !got.Equal(at) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	at = at.Add(7 * time.Millisecond)
	for text, zone := range map[string]*time.Location{"2026-07-01 12:00:05.007+05:30": at.Location(),
		"2026-07-01 06:30:05.007Z": time.UTC} {
		if got := PreciseTime(at, zone); got != text || !isTime(got) {
			t.Errorf("%s, want %s", got, text)
		}
	}
	if Time(time.Time{}) != "" {
		t.Error("no time is shown as one")
	}
}

func TestTerminalWidth(t *testing.T) {
	for columns, want := range map[string]int{"": 0, "72": 72, "0": 0, "many": 0} {
		if got := TerminalWidth(new(bytes.Buffer), columns); got != want {
			t.Errorf("COLUMNS=%s: %d, want %d", columns, got, want)
		}
	}
}

// At 80 columns and below, a column of times keeps its clock times: the date goes first, with a mark in its place.
func TestTimesLoseTheirDateFirst(t *testing.T) {
	table := New("Identity", "Result", "At", "Took")
	table.Add("IMAP.Protocol/ImapDeepTestProbe/a-database-with-a-long-name", "Succeeded",
		"2026-11-28 03:04:05Z", "12ms")
	table.Add("IMAP/ImapCTPProbe/db1", "Failed", "2026-11-27 23:59:58Z", "7ms")
	table.Add("IMAP/ImapCTPProbe/db2", "", "", "")
	for width, want := range map[int]string{
		120: "2026-11-28 03:04:05Z", 96: "…11-28 03:04:05Z", 93: "…28 03:04:05Z", 90: "…03:04:05Z", 80: "…03:04:05Z",
		60: "…03:04:05Z", 40: "…03:04:05Z",
	} {
		got := written(t, table, Style{Width: width}, nil)
		if !strings.Contains(got, " "+want+" ") || !strings.Contains(got, "23:59:58Z ") {
			t.Errorf("at %d columns, want %s:\n%s", width, want, got)
		}
	}
}

// What matters most is read on a terminal of 80 columns: times lose their dates, and columns that matter less shrink,
// down to a mark. What is cut has one.
func TestKeptColumnsLoseSpaceLast(t *testing.T) {
	heads := []string{"StartTime", "Id", "ResourceName", "RequestorName", "Result", "Context"}
	row := []string{"2026-11-28 03:04:05Z", "ServerFailover", "mbx1", "ImapSelfTestServerFailoverResponder",
		"Throttled", "too soon: 1 of 1 in an hour; allowed again at 2026-11-28 04:04:05Z"}
	newTable := func() *Table {
		return New(heads...).Keep("Id", "Result", "Context").Yield("RequestorName")
	}
	all := newTable()
	all.AddNamed("", row...)
	var flowing bytes.Buffer
	if err := newTable().Flow(&flowing, Style{Width: 80}).Add("", row...); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"at once": written(t, all, Style{Width: 80}, nil),
		"over time": flowing.String()} {
		for line := range strings.Lines(got) {
			if n := displayWidth(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		for _, part := range []string{"03:04:05Z ", " ServerFailover ", " mbx1 ", " … ", " Throttled ",
			" too soon: 1 of 1 in an hour"} {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %q in\n%s", name, part, got)
			}
		}
	}
	if got := written(t, all, Style{Width: 300}, nil); strings.Contains(got, cutMark) {
		t.Errorf("there is room for all:\n%s", got)
	}
}

// A long answer of a server does not hide whose it is.
func TestAKeptColumnLeavesSpace(t *testing.T) {
	table := New("Time", "User", "Command", "Parameters", "Took", "Result").Keep("Command", "Took", "Result")
	table.Add("2026-11-28 03:04:05.123Z", "alice@example.org", "authenticate", "PLAIN with a long parameter list here",
		"12ms", "NO [AUTHENTICATIONFAILED] Authentication failed for this user")
	got := written(t, table, Style{Width: 80}, nil)
	for _, part := range []string{"03:04:05.123Z ", "alice@ex", "authenticate", "12ms", "NO [AUTHENTICATION"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
}
