package replay

import (
	"bytes"
	"strings"
	"testing"
)

// TestReadRefuses wants a reason for each file that is no recording.
func TestReadRefuses(t *testing.T) {
	good := text(t, fromLog(t, 100, monday()))
	if _, err := Read(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(good, "\n")
	for name, c := range map[string]struct{ file, says string }{
		"empty":         {"", "not a recording"},
		"a profile":     {"noop: {}\n", "from-log"},
		"another":       {strings.Replace(good, `recording":1`, `recording":2`, 1), "version 2"},
		"cut off":       {strings.Join(lines[:len(lines)-2], ""), "incomplete"},
		"torn":          {good[:len(good)-20], "line 4"},
		"too many":      {good + lines[1], "line 5"},
		"unknown field": {strings.Replace(good, `"users"`, `"hosts"`, 1), "hosts"},
		"verb":          {strings.Replace(good, `"0 sign-in"`, `"0 sing-in"`, 1), "sing-in"},
		"time":          {strings.Replace(good, "59988 done", "-1 done", 1), "operation 2"},
		"late":          {strings.Replace(good, "59988 done", "99999999 done", 1), "operation 2"},
		"size":          {strings.Replace(good, "append:3100", "append:31000000000", 1), "bytes"},
		"user":          {strings.Replace(good, `"user":1`, `"user":7`, 1), "user of 0 to 1"},
		"no time":       {strings.Replace(good, `"seconds":64`, `"seconds":-1`, 1), "seconds"},
	} {
		if _, err := Read(strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// FuzzRead reads anything without harm, and what it takes it writes and reads again as the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte(text(f, fromLog(f, 100, monday()))))
	f.Add([]byte(`{"portico_recording":1,"sessions":1,"users":1,"seconds":1}` + "\n" +
		`{"at_ms":0,"user":0,"open":true,"operations":[]}`))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		once := text(t, r)
		again, err := Read(strings.NewReader(once))
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice := text(t, again); twice != once {
			t.Fatalf("%s\n%s", once, twice)
		}
	})
}

// FuzzLog takes any log, and what it makes of it can be read.
func FuzzLog(f *testing.F) {
	f.Add([]byte(monday()))
	f.Add([]byte(`{"dateTime":"2026-11-23T08:00:00.000Z","sessionId":"00000000000000aa","seqNumber":1,"sIp":"",` +
		`"cIp":"","user":"a","duration":1,"rqsize":1,"rpsize":1,"command":"noop",` +
		`"parameters":"","context":"R=OK","puid":""}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		c, err := NewCollector(10)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add(t.Context(), bytes.NewReader(log)); err != nil {
			t.Fatal(err)
		}
		r, err := c.Recording()
		if err != nil {
			return
		}
		if _, err := Read(strings.NewReader(text(t, r))); err != nil {
			t.Fatalf("%v\n%s", err, text(t, r))
		}
	})
}
