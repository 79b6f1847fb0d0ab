package wire

import (
	"strings"
	"testing"
)

func TestAppendAstring(t *testing.T) {
	for _, c := range []struct {
		s, want string
		ok      bool
	}{
		{"", `""`, true}, {"x", `"x"`, true}, {`a"b\c d{5}`, `"a\"b\\c d{5}"`, true},
		{"\t\x01\x7f", "\"\t\x01\x7f\"", true},
		{"a\x00", "", false}, {"a\r", "", false}, {"a\nb", "", false}, {"\x80", "", false}, {"é", "", false},
	} {
		got, ok := AppendAstring([]byte("> "), c.s)
		if string(got) != "> "+c.want || ok != c.ok {
			t.Errorf("%q: %q, %v", c.s, got, ok)
		}
		if !ok {
			continue
		}
		a := argsOf(t, " "+string(got[2:]))
		a.Space()
		if back, ok := a.Astring(); back != c.s || !ok {
			t.Errorf("%q comes back as %q, %v", c.s, back, ok)
		}
	}
}

func TestAppendText(t *testing.T) {
	for _, c := range []struct {
		s     string
		limit int
		want  string
	}{
		{"all is well.", 100, "all is well."},
		{"[ALERT] x]", 100, "(ALERT) x)"},
		{"a\r\nb OK\x00\x1b\x7f\xff", 100, "a??b OK????"},
		{"12345", 5, "12345"}, {"123456", 5, "12345"}, {"é", 1, "?"}, {"x", 0, ""},
		{strings.Repeat("[", 9), 3, "((("},
	} {
		if got := AppendText([]byte("> "), c.s, c.limit); string(got) != "> "+c.want {
			t.Errorf("%q in %d: %q", c.s, c.limit, got)
		}
	}
}
