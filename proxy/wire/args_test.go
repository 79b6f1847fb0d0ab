package wire

import (
	"fmt"
	"strings"
	"testing"
)

func argsOf(t *testing.T, text string) Args {
	t.Helper()
	cmd, err := NewReader(strings.NewReader("a X"+text+"\r\n"),
		Limits{Line: 1000, Literal: 1000, Command: 1000}).ReadCommand(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Args
}

// What does not stand there is not read, and the cursor stays.
func TestArgs(t *testing.T) {
	atom := func(a *Args) (string, bool) { return a.Atom() }
	astring := func(a *Args) (string, bool) { return a.Astring() }
	nstring := func(a *Args) (string, bool) { return a.NString() }
	for _, c := range []struct {
		read func(*Args) (string, bool)
		text string
		want string
		ok   bool
		rest string
	}{
		{atom, "PLAIN x", "PLAIN", true, " x"},
		{atom, "AHg+/w== x", "AHg+/w==", true, " x"},
		{atom, "=", "=", true, ""},
		{atom, "a]", "a", true, "]"},
		{atom, `"a"`, "", false, `"a"`},
		{atom, "", "", false, ""},
		{atom, "\x00", "", false, "\x00"},
		{atom, "é", "", false, "é"},

		{astring, "user@example.org pw", "user@example.org", true, " pw"},
		{astring, "a]+b(", "a]+b", true, "("},
		{astring, "~user", "~user", true, ""},
		{astring, `""`, "", true, ""},
		{astring, `"a b" c`, "a b", true, " c"},
		{astring, `"a\"b\\c"`, `a"b\c`, true, ""},
		{astring, `"a\b"`, "ab", true, ""},
		{astring, "100%*user pw", "100%*user", true, " pw"},
		{astring, `CORP\user pw`, `CORP\user`, true, " pw"},
		{astring, "p{3}x é", "p{3}x", true, " é"},
		{astring, "é", "é", true, ""},
		{astring, `a"b`, "a", true, `"b`},
		{astring, "~{3} x", "", false, "~{3} x"},
		{astring, `"é{5}"`, "é{5}", true, ""},
		{astring, `"open`, "", false, `"open`},
		{astring, `"open\"`, "", false, `"open\"`},
		{astring, "\"a\x00b\"", "", false, "\"a\x00b\""},
		{astring, "\"a\rb\"", "", false, "\"a\rb\""},
		{astring, "{3}\r\na\r\n x", "a\r\n", true, " x"},
		{astring, "{3+}\na{2 x", "a{2", true, " x"},
		{astring, "{0}\r\n", "", true, ""},
		{astring, "a)b", "a", true, ")b"},
		{astring, "{3}\r\n\x00ab", "", false, "{3}\r\n\x00ab"},
		{astring, "{3}\r\na\x00b", "", false, "{3}\r\na\x00b"},
		{astring, "~{3}\r\na\x00b", "a\x00b", true, ""},
		{astring, "{3} x", "", false, "{3} x"},
		{astring, "", "", false, ""},

		{nstring, "NIL x", "", true, " x"},
		{nstring, "nil", "", true, ""},
		{nstring, "NILS", "NILS", true, ""},
		{nstring, "other x", "other", true, " x"},
		{nstring, `"NIL"`, "NIL", true, ""},
		{nstring, "{1}\r\nx)", "x", true, ")"},
	} {
		t.Run(fmt.Sprintf("%q", c.text), func(t *testing.T) {
			a := argsOf(t, " "+c.text)
			if !a.Space() {
				t.Fatal("no blank behind the verb")
			}
			got, ok := c.read(&a)
			if rest := string(trimLine(a.raw[a.Pos():])); got != c.want || ok != c.ok || rest != c.rest {
				t.Errorf("read %q, %v, and %q is left", got, ok, rest)
			}
			if a.End() != (c.rest == "") {
				t.Errorf("at its end: %v", a.End())
			}
		})
	}
}

func TestArgsSigns(t *testing.T) {
	a := argsOf(t, "  ()  ")
	steps := []struct {
		name string
		read func() bool
		want bool
	}{
		{"(", a.Open, false}, {"blank", a.Space, true}, {"blank", a.Space, false}, {")", a.Close, false},
		{"(", a.Open, true}, {"end", a.End, false}, {")", a.Close, true}, {"end", a.End, true}, {")", a.Close, false},
	}
	for i, s := range steps {
		if got := s.read(); got != s.want {
			t.Errorf("step %d, %s: %v", i, s.name, got)
		}
	}
	var none Args
	if _, ok := none.Astring(); ok || !none.End() || none.Space() || none.Pos() != 0 {
		t.Error("the zero value is not at its end")
	}
}
