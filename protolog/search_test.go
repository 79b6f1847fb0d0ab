package protolog

import (
	"net/netip"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// Each filter finds the rows that it should in the files, by the user's name also where rows have its hash.
func TestSearch(t *testing.T) {
	testkit.NoLeaks(t)
	for name, hashed := range map[string]bool{"names": false, "hashed names": true} {
		t.Run(name, func(t *testing.T) {
			c := newClock(noon)
			l := newTestLog(t, everything(t, func(*FileSettings) {}),
				func(o *Options) { o.Now, o.Settings.HashUsers = c.now, hashed })
			bob := testSubject
			bob.ID, bob.User, bob.Server, bob.Client = "fedcba9876543210", "bob@example.org", "mbx10",
				netip.MustParseAddrPort("[2001:db8::7]:40001")
			say(l, 0, testSubject, "uid fetch", 2*time.Second)
			say(l, 0, bob, "noop", time.Millisecond)
			l.comes(t, "uid fetch noop")
			c.move(time.Hour)
			say(l, 0, testSubject, "list", time.Millisecond)
			l.comes(t, "uid fetch noop list")
			for _, test := range []struct {
				search Search
				want   int
			}{
				{Search{}, 3},
				{Search{Filter: Filter{User: "ann@example.org"}}, 2},
				{Search{Filter: Filter{User: "bob@example.org"}}, 1},
				{Search{Filter: Filter{User: "bob"}}, 0},
				{Search{Filter: Filter{IP: "192.0.2.0/24"}}, 2},
				{Search{Filter: Filter{IP: "2001:db8::7"}}, 1},
				{Search{Filter: Filter{Server: "mbx1"}}, 2},
				{Search{Filter: Filter{Session: bob.ID}}, 1},
				{Search{Filter: Filter{Command: "FETCH"}}, 1},
				{Search{Filter: Filter{Slower: time.Second}}, 1},
				{Search{From: noon.Add(time.Minute)}, 1},
				{Search{To: noon.Add(time.Minute)}, 2},
				{Search{Filter: Filter{User: "ann@example.org"}, From: noon, To: noon.Add(time.Minute)}, 1},
			} {
				n := 0
				if err := l.Find(t.Context(), test.search, CSV, func([]byte) error { n++; return nil }); err != nil ||
					n != test.want {
					t.Errorf("%+v: %d rows, %v; want %d", test.search, n, err, test.want)
				}
			}
			n := 0
			err := l.Find(t.Context(), Search{Filter: Filter{User: "A*@Example.org"}}, CSV,
				func([]byte) error { n++; return nil })
			if want := map[bool]int{false: 2, true: 0}[hashed]; err != nil || n != want {
				t.Errorf("a pattern: %d rows, %v; want %d", n, err, want)
			}
			if err := l.Find(t.Context(), Search{Filter: Filter{IP: "here"}}, CSV, nil); err == nil {
				t.Error("no address is taken for one")
			}
		})
	}
}
