package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fixedNames resolves names from a table.
type fixedNames map[string][]string

func (f fixedNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, text := range f[host] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	if addrs == nil {
		return nil, errors.New("no such host")
	}
	return addrs, nil
}

func TestResolve(t *testing.T) {
	names := fixedNames{
		"here": {"::1", "127.0.0.1"}, "there": {"192.0.2.1"}, "both": {"127.0.0.1", "192.0.2.1"},
		"mapped":     {"::ffff:192.0.2.1"},
		"mappedhere": {"::ffff:127.0.0.1"},
	}
	for _, c := range []struct {
		target string
		remote bool
		want   string // addresses, or part of the error
		fails  bool
	}{
		{"127.0.0.1:143", false, "127.0.0.1:143", false},
		{"[::1]:143", false, "[::1]:143", false},
		{"127.8.9.10:imap", false, "127.8.9.10:143", false},
		{"here:143", false, "127.0.0.1:143 [::1]:143", false},
		{"mappedhere:143", false, "127.0.0.1:143", false},
		{"there:143", false, "not a loopback address", true},
		{"both:143", false, "192.0.2.1", true},
		{"mapped:143", false, "192.0.2.1", true},
		{"192.0.2.1:143", false, "--allow-remote", true},
		{"0.0.0.0:143", false, "not a loopback address", true},
		{"[::ffff:192.0.2.1]:143", false, "not a loopback address", true},
		{"there:143", true, "192.0.2.1:143", false},
		{"nowhere:143", true, "no such host", true},
		{":143", false, "no host", true},
		{"127.0.0.1", false, "missing port", true},
		{"127.0.0.1:x", false, "port", true},
	} {
		got, err := Resolve(t.Context(), names, c.target, c.remote)
		text := strings.Trim(fmt.Sprint(got.Addrs), "[]")
		if len(got.Addrs) > 0 {
			var each []string
			for _, addr := range got.Addrs {
				each = append(each, addr.String())
			}
			text = strings.Join(each, " ")
		}
		if c.fails != (err != nil) || !c.fails && text != c.want || c.fails && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v; want %s", c.target, text, err, c.want)
		}
		if remote := (*RemoteError)(nil); c.fails && strings.Contains(c.want, "loopback") && !errors.As(err, &remote) {
			t.Errorf("%s: %T", c.target, err)
		}
	}
}

func TestParseUsers(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"alice", "alice"},
		{"user%d:9-11", "user9 user10 user11"},
		{"user%04d:1-2", "user0001 user0002"},
		{"u%02d@example.org:1-2", "u01@example.org u02@example.org"},
		{"a:b", "a:b"},
		{"", ""}, {"user%d", ""}, {"user%d:2-1", ""}, {"user%d:1", ""}, {"user%s:1-2", ""}, {"user%4d:1-2", ""},
		{"user%d%d:1-2", ""},
		{"user%d:0-99999999", ""}, {"user%d:-1-2", ""}, {"user%099d:1-2", ""}, {"a\r\nb", ""}, {"a\x00%d:1-2", ""},
	} {
		got, err := ParseUsers(c.pattern)
		if strings.Join(got, " ") != c.want && err == nil || (err != nil) != (c.want == "") {
			t.Errorf("%q: %q, %v; want %q", c.pattern, got, err, c.want)
		}
	}
}

func TestReadPasswords(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"open sesame\n", "open sesame,open sesame"},
		{"a:b", "a:b,a:b"},
		{"user2:two\nuser1:o:ne\r\n", "o:ne,two"},
		{"user1:one\n", ""}, // and none for user2
		{"\ufeffopen sesame\r\n", "open sesame,open sesame"},
		{"\ufeffuser1:one\nuser2:two", "one,two"},
		{"user0:" + strings.Repeat("x", 70_000) + "\nuser1:one\n\nuser2:two\n", "one,two"},
		{"user1:one\nuser2:two\nuser1:three\n", ""},
		{"user1:one\nuser3:three\n", ""},
		{"user1:one\nnonsense\n", ""},
		{"", ""},
		{"a\x00b", ""},
	} {
		file := filepath.Join(t.TempDir(), "passwords")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		users, err := ReadPasswords(file, []string{"user1", "user2"})
		var got []string
		for _, u := range users {
			got = append(got, string(u.Password))
		}
		if strings.Join(got, ",") != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q: %q, %v; want %q", c.text, got, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "one\n") || strings.Contains(err.Error(), "nonsense")) {
			t.Errorf("the error holds a password: %v", err)
		}
	}
}

func TestPasswordsDoNotPrint(t *testing.T) {
	u := User{Name: "alice", Password: "hush"}
	encoded, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d %s", u, u, u, u.Password, u.Password, u.Password, u.Password, encoded)
	if strings.Contains(all, "hush") || strings.Contains(all, fmt.Sprintf("%x", "hush")) {
		t.Error(all)
	}
}

func TestBuiltInProfiles(t *testing.T) {
	names := ProfileNames()
	for _, name := range []string{"noop", "fetch", "phone", "desktop", "webmail", "bulk", "storm", "mixed"} {
		if !slices.Contains(names, name) {
			t.Errorf("no profile %s", name)
		}
	}
	for _, name := range names {
		p := builtInProfile(t, name)
		if p.Description == "" || p.Name != name {
			t.Errorf("%s: %+v", name, p)
		}
		text, err := ProfileText(name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "mine.yaml") // printed, and passed back
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if again, err := LoadProfile(file); err != nil || again.Name != "mine" {
			t.Errorf("%s as a file: %v", name, err)
		}
	}
}

func TestBadProfiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"exactly one":              "description: nothing\n",
		"exactly one of":           "noop: {}\nstorm: {}\n",
		"bogus":                    "noop: {}\nbogus: 1\n",
		"per_session":              "per_session: -1\nnoop: {}\n",
		"mailbox":                  "mailbox: \"a b\"\nnoop: {}\n",
		"fetch.mail":               "fetch: {mail: post, sizes: [{bytes: 1}]}\n",
		"fetch.sizes":              "fetch: {mail: append}\n",
		"fetch.messages":           "fetch: {mail: append, messages: 10001, sizes: [{bytes: 1}]}\n",
		"size":                     "fetch: {mail: append, sizes: [{bytes: 1TiB}]}\n",
		"at most 256MiB":           "fetch: {mail: append, sizes: [{bytes: 300MiB}]}\n",
		"weight above 0":           "phone: {sizes: [{bytes: 1, weight: -1}]}\n",
		"bulk.depth":               "bulk: {depth: 65, sizes: [{bytes: 1}]}\n",
		"mixed[0]":                 "mixed: [{profile: noop, weight: -2}]\n",
		"1 to 100 parts":           "mixed: []\n",
		"no profile is":            "mixed: [{profile: nothing, weight: 1}]\n",
		"must not be mixed itself": "mixed: [{profile: mixed, weight: 1}]\n",
		"such file":                "mixed: [{profile: ./missing.yaml, weight: 1}]\n",
	} {
		file := filepath.Join(dir, "bad.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadProfile(file); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v, want %q", text, err, name)
		}
	}
}

// TestMixedIsSpreadByWeight wants each part to have its share of any number of sessions, within one.
func TestMixedIsSpreadByWeight(t *testing.T) {
	p := builtInProfile(t, "mixed")
	for _, sessions := range []int{1, 7, 100, 1000} {
		counts := make(map[string]int)
		for _, part := range p.parts(sessions) {
			counts[part.Profile]++
		}
		for _, part := range p.Mixed {
			want := part.Weight / 100 * float64(sessions)
			if got := float64(counts[part.Profile]); got < want-1 || got > want+1 {
				t.Errorf("%d sessions: %v of %s, want %v", sessions, got, part.Profile, want)
			}
		}
	}
}

// TestBounds: no run without limits, whatever is asked for.
func TestBounds(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no target": func(o *Options) { o.Targets = nil },
		"no user":   func(o *Options) { o.Users = nil },
		"profile":   func(o *Options) { o.Profile = nil },
		"sessions":  func(o *Options) { o.Sessions = MaxSessions + 1 },
		"duration":  func(o *Options) { o.Duration = MaxDuration + 1 },
		"-1":        func(o *Options) { o.Sessions = -1 },
		"-1s":       func(o *Options) { o.Duration = -time.Second },
		"warm-up":   func(o *Options) { o.WarmUp = -time.Second },
		"ramp":      func(o *Options) { o.Ramp = -time.Second },
		"rate":      func(o *Options) { o.Rate = maxRate + 1 },
		"rate -1":   func(o *Options) { o.Rate = -1 },
		"time-out":  func(o *Options) { o.Timeout = 2 * time.Hour },
		"backlog":   func(o *Options) { o.Backlog = maxBacklog + 1 },
		"grace":     func(o *Options) { o.Grace = time.Hour },
		"TLS":       func(o *Options) { o.TLS = TLSImplicit },
	} {
		o := Options{Targets: []Target{{}}, Users: someUsers(1), Profile: builtInProfile(t, "noop")}
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := Options{Targets: []Target{{}}, Users: someUsers(1), Profile: builtInProfile(t, "noop")}
	if err := o.complete(); err != nil || o.Duration != DefaultDuration || o.Sessions != DefaultSessions {
		t.Errorf("defaults: %v, %+v", err, o)
	}
}

// TestMessages wants sizes to be exact, and lines that end with CR LF and are not too long.
func TestMessages(t *testing.T) {
	text := newBody()
	for _, size := range []int{1, 320, 333, 381, 382, 383, 384, 385, 386, 387, 445, 446, 447, 448, 5120, 65_536,
		65_700, 200_001} {
		m := text.newMessage("18ea0000000000000.bench-18ea0000000000000-50000", 50_000, 1_000_000, size)
		var b strings.Builder
		if err := text.write(&b, m); err != nil {
			t.Fatal(err)
		}
		if b.Len() != m.size || m.size != max(size, minMessage) || !strings.HasSuffix(b.String(), "\r\n") {
			t.Errorf("%d bytes: %d were written", m.size, b.Len())
		}
		plain := strings.ReplaceAll(b.String(), "\r\n", "")
		if strings.ContainsAny(plain, "\r\n") {
			t.Errorf("%d bytes: CR or LF alone", size)
		}
	}
	if a, b := text.newMessage("r", 1, 2, 400), text.newMessage("r", 1, 3, 400); a.sum == b.sum {
		t.Error("two messages are equal")
	}
}
