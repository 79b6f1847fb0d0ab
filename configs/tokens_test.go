package configs

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// testToken is a token whose value is made from its name.
func testToken(name string, right Right) Token {
	return Token{Name: name, Right: right, Hash: HashToken("token of " + name)}
}

// Each line that a token writes is read as that token.
func TestReadTokens(t *testing.T) {
	want := []Token{testToken("ann", RightChange), testToken("prometheus", RightRead),
		{"deploy.bot", RightChange, HashToken("x"), time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)}}
	text := "# comment\n\n"
	for _, token := range want {
		text += "  " + token.Line() + "\t\r\n"
	}
	got, err := ReadTokens(write(t, t.TempDir(), "tokens", text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ReadTokens(write(t, t.TempDir(), "tokens", "")); err != nil || len(got) != 0 {
		t.Errorf("an empty file: %v, %v", got, err)
	}
}

// Bad lines are named by their number, and nothing of them is shown.
func TestBadTokens(t *testing.T) {
	const secret = "portico_pasted-by-mistake"
	hash := "sha256:" + strings.Repeat("0f", 32)
	for line, want := range map[string]string{
		secret:                                "a line is NAME RIGHT HASH [EXPIRY]",
		"ann change":                          "a line is NAME RIGHT HASH [EXPIRY]",
		"ann change " + hash + " x y":         "a line is NAME RIGHT HASH [EXPIRY]",
		"/" + secret + " change " + hash:      "a name has 1 to 64",
		secret + " x " + hash:                 "the right must be one of read, change",
		"ann " + secret + " " + hash:          "the right must be one of read, change",
		"ann change " + secret:                "the hash must be sha256: and 64 hexadecimal digits",
		"ann change " + hash + "00":           "the hash must be",
		"ann change " + hash[len("sha256:"):]: "the hash must be",
		"ann change " + hash + " " + secret:   "the expiry must be a time",
		"ann change " + hash + " 2027-01-31":  "the expiry must be a time",
		"FIRST read " + hash:                  "the name FIRST is given twice",
		"ann read " + testToken("first", RightRead).Line()[len("first read "):]: "ann has the same token as first",
	} {
		path := write(t, t.TempDir(), "tokens", testToken("first", RightChange).Line()+"\n\n"+line+"\n")
		_, err := ReadTokens(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+":3: "+want) {
			t.Errorf("%s: %v", line, err)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "0f0f")) {
			t.Errorf("%s: the error shows it: %v", line, err)
		}
	}
	lines := ""
	for i := range maxTokens + 1 {
		lines += testToken(fmt.Sprint("t", i), RightRead).Line() + "\n"
	}
	if _, err := ReadTokens(write(t, t.TempDir(), "tokens", lines)); err == nil {
		t.Error("any number of tokens is taken")
	}
}

// A new token is like no other, and a file of one word may hold it.
func TestNewToken(t *testing.T) {
	one, other := NewToken(), NewToken()
	if one == other || len(one) < 40 {
		t.Errorf("%q and %q", one, other)
	}
	if got, err := ReadToken(write(t, t.TempDir(), "token", one+"\n")); err != nil || got != one {
		t.Errorf("%q, %v", got, err)
	}
}
