package admin

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"portico/proxy"
)

// names are those of the sessions in these tests.
var queried = Names{Servers: []string{"mbx1", "mbx2"}, Databases: []string{"db1"},
	Commands: []string{"FETCH", "UID FETCH", "IDLE"}}

// A query picks the sessions that fit all that it says, in its order; and its text in a URL has all of it.
func TestSessionQuery(t *testing.T) {
	sessions := func() []SessionState {
		return []SessionState{
			{ID: "1", User: "ann", Server: "mbx1", Remote: "192.0.2.1:9", Command: "UID FETCH", Age: 3},
			{ID: "2", User: "ann", Server: "mbx2", Remote: "[2001:db8::1]:9", Command: "FETCH", Age: 2},
			{ID: "3", User: "bob", Server: "mbx1", Remote: "192.0.2.9:9", Command: "IDLE", Age: 1},
		}
	}
	for _, c := range []struct {
		q           SessionQuery
		want, inURL string
	}{
		{SessionQuery{}, "123", ""},
		{SessionQuery{SessionFilter: SessionFilter{User: "ann"}}, "12", "user=ann"},
		{SessionQuery{SessionFilter: SessionFilter{User: "an"}}, "", "user=an"},
		{SessionQuery{SessionFilter: SessionFilter{Server: "mbx1", IP: "192.0.2.0/29"}}, "1",
			"ip=192.0.2.0%2F29&server=mbx1"},
		{SessionQuery{SessionFilter: SessionFilter{Session: "3"}}, "3", "session=3"},
		{SessionQuery{Command: "fetch", Order: Order{Sort: "Age"}}, "21", "command=fetch&sort=Age"},
		{SessionQuery{Command: "uid fetch"}, "1", "command=uid+fetch"},
		{SessionQuery{Where: "Age -ge 2", Order: Order{Sort: "-Age", Limit: 1}}, "1",
			"limit=1&sort=-Age&where=Age+-ge+2"},
	} {
		rows, err := c.q.pick(queried, sessions())
		got := ""
		for _, row := range rows {
			got += row.ID
		}
		if err != nil || got != c.want || c.q.Query().Encode() != c.inURL {
			t.Errorf("%+v: %s %s (%v)", c.q, got, c.q.Query().Encode(), err)
		}
	}
}

// A query for slow commands does the same, between two times.
func TestSlowQuery(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		q    SlowQuery
		want string
	}{
		{SlowQuery{}, "123"},
		{SlowQuery{Order: Order{Limit: 2}}, "12"},
		{SlowQuery{Order: Order{Sort: "-Ended"}}, "321"},
		{SlowQuery{From: at(2)}, "23"},
		{SlowQuery{To: at(2)}, "12"},
		{SlowQuery{From: at(2), To: at(2), Command: "FETCH"}, "2"},
		{SlowQuery{SessionFilter: SessionFilter{User: "ann", IP: "192.0.2.1"}}, "1"},
	} {
		rows, err := c.q.pick(queried, []SlowCommand{
			{Session: "1", User: "ann", Remote: "192.0.2.1:9", Ended: at(1), Seconds: 3, Command: "FETCH"},
			{Session: "2", User: "ann", Remote: "192.0.2.2:9", Ended: at(2), Seconds: 2, Command: "UID FETCH"},
			{Session: "3", User: "bob", Remote: "192.0.2.1:9", Ended: at(3), Seconds: 1, Command: "IDLE"},
		})
		got := ""
		for _, row := range rows {
			got += row.Session
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %s, want %s (%v)", c.q, got, c.want, err)
		}
	}
	q := SlowQuery{From: at(1), To: at(2)}
	want := url.Values{"from": {"2026-01-02T03:01:00Z"}, "to": {"2026-01-02T03:02:00Z"}}
	if got := q.Query().Encode(); got != want.Encode() {
		t.Error(got)
	}
}

// Rows with equal values keep their order, in both directions, and a session that waits for mail is not busy.
func TestSessionOrder(t *testing.T) {
	for sort, want := range map[string]string{"User": "1432", "-User": "2314", "Busy": "1342", "-Busy": "2413",
		"-Age": "1243"} {
		rows, err := SessionQuery{Order: Order{Sort: sort}}.pick(queried, []SessionState{
			{ID: "1", User: "ann", Age: 9, Idling: true}, {ID: "2", User: "carl", Age: 8},
			{ID: "4", User: "ann", Age: 7}, {ID: "3", User: "bob"}})
		got := ""
		for _, row := range rows {
			got += row.ID
		}
		if got != want || err != nil {
			t.Errorf("%s: %s, want %s (%v)", sort, got, want, err)
		}
	}
}

// BenchmarkSessionQuery picks the first sessions of many, as each page of the console and each screen of top does.
func BenchmarkSessionQuery(b *testing.B) {
	var sessions []proxy.Session
	for i := range 9000 {
		s := proxy.Session{ID: fmt.Sprintf("%016x", i*7919%9001), User: fmt.Sprintf("user%05d", i*7919%9001),
			Server: "mbx1", Remote: netip.AddrPortFrom(netip.IPv6Loopback(), uint16(i))}
		s.Open, s.Age, s.Idling = i%2, time.Duration(i*7919%9001)*time.Millisecond, i%4 == 1
		sessions = append(sessions, s)
	}
	for _, sort := range []string{"User", "-Busy"} {
		b.Run(sort, func(b *testing.B) {
			b.ReportAllocs()
			q := SessionQuery{Order: Order{Sort: sort, Limit: 200}}
			for b.Loop() {
				if rows, err := q.pick(queried, sessionRows(sessions)); err != nil || len(rows) != 200 {
					b.Fatal(len(rows), err)
				}
			}
		})
	}
}

// A number of seconds that no time can have is the nearest one, and no number is none.
func TestInSeconds(t *testing.T) {
	for s, want := range map[float64]time.Duration{1.5: 1500 * time.Millisecond, -2: -2 * time.Second,
		1e300: math.MaxInt64 / time.Second * time.Second, math.Inf(-1): -math.MaxInt64 / time.Second * time.Second} {
		if got := inSeconds(s); got != want {
			t.Errorf("%v: %v, want %v", s, got, want)
		}
	}
	if got := inSeconds(math.NaN()); got != 0 {
		t.Errorf("NaN: %v", got)
	}
}
