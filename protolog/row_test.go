package protolog

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"portico/proxy/wire"
)

var testSubject = Subject{
	ID: "0123456789abcdef", User: "ann@example.org", Server: "mbx1",
	Client: netip.MustParseAddrPort("192.0.2.7:40001"), Local: netip.MustParseAddrPort("198.51.100.1:993"),
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 123e6, time.UTC)

// newTestLog returns a log at work that writes to a folder of the test's.
func newTestLog(t testing.TB, change ...func(*Options)) *Log {
	t.Helper()
	o := Options{Settings: Settings{Files: FileSettings{Location: t.TempDir() + "/log"}}, Loops: 2, Key: []byte("key"),
		Version: "test"}
	for _, f := range change {
		f(&o)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestRows(t *testing.T) {
	l := newTestLog(t)
	session := l.Session(testSubject)
	event := func(change func(*Event)) Event {
		e := Event{Session: session, Time: noon, Number: 7, Command: "noop"}
		change(&e)
		return e
	}
	const front = "2026-11-27T12:00:00.123Z,0123456789abcdef,7,198.51.100.1:993,192.0.2.7:40001,ann@example.org,"
	for _, test := range []struct {
		event Event
		want  string
	}{
		{event(func(e *Event) {}), front + "0,0,0,noop,,_Mbx:mbx1,"},
		{event(func(e *Event) {
			e.Duration, e.Request, e.Response, e.Rows = 1999*time.Microsecond, 8, 50, 2
			e.Answer(OK, []byte("READ-WRITE"), []byte("done"))
		}), front + "1,8,50,noop,,R=OK;_Mbx:mbx1;Rows=2,"},
		{event(func(e *Event) {
			e.Command, e.Parameters = "select", wire.ShownName(`"Sent, Items"`)
			e.Answer(NO, []byte("NONEXISTENT"), []byte("No \"Sent\x1b, Items\" here"))
		}), front + `0,0,0,select,"""Sent, Items""","R=""NO [NONEXISTENT] No 'Sent?, Items' here"";_Mbx:mbx1",`},
		{event(func(e *Event) {
			e.Session, e.Command, e.Parameters = session.Anonymous(), "login", wire.ShownLogin("ann@example.org")
			e.Answer(OK, nil, nil)
			e.Msg = "Proxy:mbx1.example.org:993:SSL;ProxySuccess"
			e.Phases = &Phases{Directory: 1234 * time.Microsecond, SignIn: 20 * time.Millisecond}
		}), strings.Replace(front, "ann@example.org", "", 1) +
			`0,0,0,login,ann@example.org *****,"R=OK;Msg=""Proxy:mbx1.example.org:993:SSL;ProxySuccess"";_Mbx:mbx1;Directory=1.234;SignIn=20",`},
		{event(func(e *Event) { e.Result, e.Err = Aborted, "client" }),
			front + `0,0,0,noop,,"R=""ABORTED"";ErrMsg=client;_Mbx:mbx1",`},
	} {
		var w rowWriter
		row := w.append(nil, CSV, &test.event)
		if got := string(row); got != test.want+"\n" {
			t.Errorf("%s\nwant %s", got, test.want)
		}
		fromCSV, err := ParseRow(bytes.TrimSuffix(row, []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		fromJSON, err := ParseRow(bytes.TrimSuffix(w.append(nil, JSON, &test.event), []byte("\n")))
		if err != nil || fromJSON != fromCSV {
			t.Errorf("JSON: %q, %v; CSV: %q", fromJSON, err, fromCSV)
		}
		if again := fromJSON.Append(nil, CSV); !bytes.Equal(again, row) {
			t.Errorf("from JSON to CSV: %s", again)
		}
	}
}

// Large numbers are the same in both formats.
func TestLargeNumbers(t *testing.T) {
	e := Event{Session: newTestLog(t).Session(testSubject), Time: noon, Command: "fetch", Request: 12_345_678,
		Response: 1 << 40}
	var w rowWriter
	row, err := ParseRow(bytes.TrimSuffix(w.append(nil, JSON, &e), []byte("\n")))
	if err != nil || row[7] != "12345678" || row[8] != "1099511627776" {
		t.Errorf("%q, %v", row, err)
	}
}

func TestPrivacy(t *testing.T) {
	l := newTestLog(t, func(o *Options) { o.Settings.HashUsers, o.Settings.ShortenAddresses = true, true })
	s := l.Session(testSubject)
	if len(s.user) != 16 || strings.Contains(s.user, "ann") || s.client != "192.0.2.0:0" {
		t.Errorf("user %q, client %q", s.user, s.client)
	}
	if again := l.Session(testSubject); again.user != s.user {
		t.Errorf("a user is %s once and %s then", s.user, again.user)
	}
	other := newTestLog(t, func(o *Options) { o.Settings.HashUsers, o.Key = true, []byte("another") })
	if again := other.Session(testSubject); again.user == s.user {
		t.Error("another key gives the same")
	}
	six := testSubject
	six.Client = netip.MustParseAddrPort("[2001:db8:1:2:3::4]:5")
	if s := l.Session(six); s.client != "[2001:db8:1::]:0" {
		t.Errorf("client %s", s.client)
	}
}

// Whatever the parts of an event are, its row is one line, and independent readers of CSV and JSON find in it what was
// put in.
func FuzzRow(f *testing.F) {
	f.Add("ann", "INBOX", "CODE", "text", "msg", uint32(1))
	f.Add("a,\"\n\r\x00\x1b", " \"x\",#", "]\"", "\xff;R=OK", "a\nb", uint32(0))
	f.Add("\u202eann\u0085", "{5}", "", "", "", uint32(9))
	l := newTestLog(f)
	f.Fuzz(func(t *testing.T, user, parameters, code, text, msg string, n uint32) {
		subject := testSubject
		subject.User = user
		e := Event{Session: l.Session(subject), Time: noon, Number: n, Command: "select",
			Parameters: wire.ShownName(parameters), Rows: int32(n >> 1), Msg: msg}
		e.Answer(NO, []byte(code), []byte(text))
		var w rowWriter
		rows := map[Format]Row{}
		for _, format := range []Format{CSV, JSON} {
			line := w.append(nil, format, &e)
			if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' ||
				bytes.ContainsAny(line, "\r\x00\x1b") || !utf8.Valid(line) {
				t.Fatalf("no clean line: %q", line)
			}
			row, err := ParseRow(line[:len(line)-1])
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			rows[format] = row
			if format == JSON && !json.Valid(line) {
				t.Fatalf("%q is no JSON", line)
			}
			if format == CSV {
				fields, err := csv.NewReader(bytes.NewReader(line)).Read()
				if err != nil || len(fields) != numFields {
					t.Fatalf("%q: %d fields, %v", line, len(fields), err)
				}
			}
		}
		if rows[CSV] != rows[JSON] {
			t.Fatalf("CSV %q, JSON %q", rows[CSV], rows[JSON])
		}
		if row := rows[CSV]; row[5] != wire.Visible(user) || row[10] != e.Parameters.String() || row[1] != subject.ID {
			t.Fatalf("%q", row)
		}
	})
}

func BenchmarkRow(b *testing.B) {
	l := newTestLog(b)
	e := Event{Session: l.Session(testSubject), Time: noon, Number: 7, Command: "uid fetch",
		Parameters: wire.ShownName("1:100 (FLAGS UID BODY[])"), Rows: 5}
	e.Answer(OK, nil, nil)
	for name, format := range map[string]Format{"csv": CSV, "json": JSON} {
		b.Run(name, func(b *testing.B) {
			var w rowWriter
			var row []byte
			b.ReportAllocs()
			for b.Loop() {
				row = w.append(row[:0], format, &e)
			}
		})
	}
}
