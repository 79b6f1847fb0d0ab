package wire

import (
	"reflect"
	"strings"
	"testing"
)

func TestAppendFilteredCapabilities(t *testing.T) {
	long := strings.Repeat(" ", 200)
	for _, c := range []struct {
		name, line, want string
		offered          bool
	}{
		{"nothing hidden", "* CAPABILITY IMAP4rev1 IDLE\r\n", "* CAPABILITY IMAP4rev1 IDLE\r\n", false},
		{"each", "* CAPABILITY A COMPRESS=DEFLATE B UNAUTHENTICATE STARTTLS C\r\n", "* CAPABILITY A B C\r\n", true},
		{"STARTTLS is no offer", "* CAPABILITY A STARTTLS\r\n", "* CAPABILITY A\r\n", false},
		{"any case", "* capability a compress=deflate Unauthenticate starttls\n", "* capability a\n", true},
		{"other compression", "* CAPABILITY COMPRESS=X COMPRESS=\r\n", "* CAPABILITY\r\n", true},
		{"whole names only", "* CAPABILITY COMPRESS STARTTLSX XSTARTTLS UNAUTHENTICATED X-COMPRESS=A\r\n",
			"* CAPABILITY COMPRESS STARTTLSX XSTARTTLS UNAUTHENTICATED X-COMPRESS=A\r\n", false},
		{"blanks", "*  CAPABILITY  A   COMPRESS=B  C \r\n", "*  CAPABILITY  A  C \r\n", true},
		{"many blanks", "* CAPABILITY" + long + "STARTTLS X\n", "* CAPABILITY" + long[:192] + " X\n", false},
		{"empty", "* CAPABILITY\r\n", "* CAPABILITY\r\n", false},
		{"code", "* OK [CAPABILITY A COMPRESS=B C] COMPRESS=D\r\n", "* OK [CAPABILITY A C] COMPRESS=D\r\n", true},
		{"code, hidden last", "a OK [CAPABILITY A COMPRESS=B] done\r\n", "a OK [CAPABILITY A] done\r\n", true},
		{"code, blanks", "a  ok  [ capability COMPRESS=B  A ] done\n", "a  ok  [ capability  A ] done\n", true},
		{"code, unclosed", "* PREAUTH [CAPABILITY A STARTTLS\r\n", "* PREAUTH [CAPABILITY A\r\n", false},
		{"tag like a list", "CAPABILITY OK [CAPABILITY A COMPRESS=B] done\r\n",
			"CAPABILITY OK [CAPABILITY A] done\r\n", true},
		{"tag like a code", "[CAPABILITY NO [CAPABILITY A COMPRESS=B] done\r\n",
			"[CAPABILITY NO [CAPABILITY A] done\r\n", true},
		{"brackets in a list", "* CAPABILITY A] [B COMPRESS=C\r\n", "* CAPABILITY A] [B\r\n", true},
		{"other line", "* OK the CAPABILITY STARTTLS\r\n", "* OK the CAPABILITY STARTTLS\r\n", false},
		{"other code", "* OK [CAPABILITIES STARTTLS] x\r\n", "* OK [CAPABILITIES STARTTLS] x\r\n", false},
		{"data", "* 1 FETCH (BODY {20}\r\n* CAPABILITY STARTTLS\r\n)\r\n",
			"* 1 FETCH (BODY {20}\r\n* CAPABILITY STARTTLS\r\n)\r\n", false},
		{"continuation", "+ CAPABILITY STARTTLS\r\n", "+ CAPABILITY STARTTLS\r\n", false},
		{"tagged list", "a CAPABILITY STARTTLS\r\n", "a CAPABILITY STARTTLS\r\n", false},
		{"no response", "\r\n", "\r\n", false},
		{"nothing", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, offered := AppendFilteredCapabilities([]byte("> "), []byte(c.line))
			if string(got) != "> "+c.want || offered != c.offered {
				t.Errorf("%q, %v\nwant %q, %v", got[2:], offered, c.want, c.offered)
			}
		})
	}
}

func TestCapabilities(t *testing.T) {
	list := ParseCapabilities(" IMAP4rev1  auth=plain AUTH=XOAUTH2 sasl-ir ")
	if !list.Has("IMAP4REV1") || list.Has("IMAP4") || !list.Has("SASL-IR") {
		t.Errorf("names of %q", list)
	}
	if got := list.Mechanisms(); !reflect.DeepEqual(got, []string{"PLAIN", "XOAUTH2"}) {
		t.Errorf("mechanisms %q", got)
	}
	for text, want := range map[string]bool{
		"": false, "IMAP4rev1 STARTTLS COMPRESS": false, "a compress=deflate": true, "UNAUTHENTICATE": true,
		"UNAUTHENTICATED": false,
	} {
		if got := ParseCapabilities(text).Hidden(); got != want {
			t.Errorf("%q hidden: %v", text, got)
		}
	}
}

// What a server lists decides which literals it takes without being asked.
func TestListedExtensions(t *testing.T) {
	for line, want := range map[string]Extensions{
		"* CAPABILITY IMAP4rev1 LITERAL+ XNEW sort\r\n":         LiteralPlus | Sort,
		"a OK [CAPABILITY IMAP4rev1 LITERAL- MOVE] done ID\r\n": LiteralMinus | Move,
		"* CAPABILITY IMAP4rev1\r\n":                            0,
		"* OK MOVE\r\n":                                         0,
	} {
		if got := ListedExtensions([]byte(line)); got != want {
			t.Errorf("%q: %b, want %b", line, got, want)
		}
	}
	for _, c := range []struct {
		e    Extensions
		size int64
		want bool
	}{
		{LiteralPlus, MaxLiteralMinus + 1, true}, {LiteralMinus, MaxLiteralMinus, true},
		{LiteralMinus, MaxLiteralMinus + 1, false}, {Sort, 1, false},
	} {
		if got := c.e.TakesNonSync(c.size); got != c.want {
			t.Errorf("%b takes %d bytes: %v", c.e, c.size, got)
		}
	}
}
