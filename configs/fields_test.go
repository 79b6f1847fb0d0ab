package configs

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"portico/configs/suggest"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "0s": 0,
		"00:30:00": 30 * time.Minute, "00:01:30": 90 * time.Second, "1.00:00:00": 24 * time.Hour,
		"23:59:59": 24*time.Hour - time.Second,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
		if back, err := ParseDuration(FormatDuration(got)); err != nil || back != got {
			t.Errorf("%v is written %q and read back as %v, %v", got, FormatDuration(got), back, err)
		}
	}
	for _, text := range []string{"", "30", "half an hour", "00:60:00", "00:00:60", "24:00:00", "1:2", "-1.00:00:00"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 30 * time.Minute: "30m",
		time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", 100 * time.Millisecond: "100ms",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%d is written %q, want %q", d, got, want)
		}
	}
}

func TestParent(t *testing.T) {
	for _, keys := range [][]string{{"a"}, {"a", "b"}, {"a", "b.c", "d"}, {"a", `b."c`, "d.e"}, {"a", `."`},
		{"a", ""}} {
		path := ""
		for _, key := range keys {
			outer := path
			path = join(path, key)
			if parent(path) != outer {
				t.Errorf("parent of %s is %s, want %s", path, parent(path), outer)
			}
			if in := item(path, 12); parent(in) != path {
				t.Errorf("parent of %s is %s, want %s", in, parent(in), path)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"loops", "log", "listeners", "max_connections", "max_connections_per_user"}
	for word, want := range map[string]string{
		"loop": "loops", "lgo": "log", "listener": "listeners", "max_conections": "max_connections",
		"something_else": "", "": "", "x": "", strings.Repeat("loops", 100): "",
	} {
		if got := suggest.Nearest(word, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func TestSettingsByName(t *testing.T) {
	s := Default().Settings
	tests := []struct{ name, text, key, want string }{
		{"max_connections_per_user", "32", "max_connections_per_user", "32"},
		{"MaxConnectionFromSingleIP", "5", "max_connection_from_single_ip", "5"},
		{"LoginType", "PlainTextLogin", "login_type", "plain_text_login"},
		{"PreAuthenticatedConnectionTimeout", "00:02:00", "pre_authenticated_connection_timeout", "2m"},
		{"banner", "Hello", "banner", "Hello"},
	}
	for _, test := range tests {
		changed, err := s.With(test.name, test.text)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, err := changed.Text(test.key); got != test.want || err != nil {
			t.Errorf("%s is %q, %v; want %q", test.name, got, err, test.want)
		}
		if s != Default().Settings {
			t.Fatalf("%s changed the receiver", test.name)
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	s := Default().Settings
	for _, test := range []struct{ name, text, want string }{
		{"max_conections", "1", `settings: there is no setting "max_conections"; did you mean max_connections?`},
		{"max_command_size", "20000", "settings.max_command_size: must be in the range 1024..16384, not 20000"},
		{"MaxConnections", "many", `settings.max_connections: must be a whole number, not "many"`},
		{"banner", "a\r\nb", "settings.banner: must be one line of printable ASCII"},
		{"login_type", "none",
			`settings.login_type: must be one of plain_text_login, plain_text_authentication, secure_login, not "none"`},
	} {
		changed, err := s.With(test.name, test.text)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s=%q: error is %v, want %s", test.name, test.text, err, test.want)
		}
		if changed != s {
			t.Errorf("%s=%q: changed all the same", test.name, test.text)
		}
	}
}

func TestNeedsRestart(t *testing.T) {
	was, now := Default(), Default()
	now.Listeners = []Listener{{Address: ":143"}}
	now.Loops = 3
	now.DataDir = "/elsewhere"
	now.Settings.Banner = "a reload takes this"
	now.Admin.Address = ""
	got := NeedsRestart(was, now)
	if want := []string{"admin.address", "data_dir", "loops"}; !reflect.DeepEqual(got, want) {
		t.Errorf("restart for %v, want %v", got, want)
	}
	if got := NeedsRestart(now, now); got != nil {
		t.Errorf("restart for %v, want nothing", got)
	}
}
