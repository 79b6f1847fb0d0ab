package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/backend/hooks"
)

var _, _ backend.Hook = (*hooks.Command)(nil), (*hooks.HTTP)(nil)

func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommand(t *testing.T) {
	testkit.NoLeaks(t)
	out := filepath.Join(t.TempDir(), "out")
	hook := &hooks.Command{
		Program: []string{program(t, `echo "$*: $PORTICO_PHASE $PORTICO_DATABASE $PORTICO_FROM $PORTICO_TO" >>"$1"`),
			out}, Timeout: time.Minute,
	}
	if err := errors.Join(hook.Deactivate(t.Context(), "db1", "mbx1", "mbx2"),
		hook.Activate(t.Context(), "db1; id", "mbx1", "mbx2")); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(out)
	want := out + " deactivate db1 mbx1 mbx2: deactivate db1 mbx1 mbx2\n" + out +
		" activate db1; id mbx1 mbx2: activate db1; id mbx1 mbx2\n"
	if string(got) != want {
		t.Errorf("got %q", got)
	}
}

func TestCommandFails(t *testing.T) {
	testkit.NoLeaks(t)
	for text, want := range map[string]string{
		"echo no volume >&2; exit 3":            "exit status 3: no volume",
		`printf 'a\033[2Jb'; exit 1`:            "exit status 1: a [2Jb",
		"head -c 100000 /dev/zero; exit 1":      "exit status 1",
		"sleep 60 & sleep 60":                   "context deadline exceeded",
		"trap '' TERM INT; while :; do :; done": "context deadline exceeded",
	} {
		hook := &hooks.Command{Program: []string{program(t, text)}, Timeout: time.Minute}
		if strings.HasPrefix(want, "context") {
			hook.Timeout = 300 * time.Millisecond
		}
		err := hook.Activate(t.Context(), "db1", "mbx1", "mbx2")
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("%s: %.200v", text, err)
		}
	}
	if err := (&hooks.Command{Program: []string{"/nonexistent"}, Timeout: time.Second}).Activate(t.Context(), "db1",
		"a", "b"); err == nil {
		t.Error("no program is no error")
	}
}

func TestHTTP(t *testing.T) {
	var asked map[string]string
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = nil
		if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer hidden-token" ||
			json.NewDecoder(r.Body).Decode(&asked) != nil {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		if status == 0 {
			<-r.Context().Done()
			return
		}
		http.Error(w, "volume busy", status)
	}))
	defer server.Close()
	hook := &hooks.HTTP{URL: server.URL + "/promote", Token: "hidden-token", Timeout: time.Minute}
	if err := hook.Activate(t.Context(), "db1", "mbx1", "mbx2"); err != nil {
		t.Error(err)
	}
	if asked["phase"] != "activate" || asked["database"] != "db1" || asked["from"] != "mbx1" || asked["to"] != "mbx2" {
		t.Errorf("asked %v", asked)
	}
	for _, status = range []int{409, 500, 302} {
		err := hook.Deactivate(t.Context(), "db1", "mbx1", "mbx2")
		if err == nil || !strings.Contains(err.Error(), "volume busy") ||
			strings.Contains(err.Error(), "hidden-token") {
			t.Errorf("%d: %v", status, err)
		}
	}
	status, hook.Timeout = 0, 300*time.Millisecond
	if err := hook.Activate(t.Context(), "db1", "mbx1", "mbx2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
}

// A restart is told whose it is, by either way.
func TestRestart(t *testing.T) {
	testkit.NoLeaks(t)
	out := filepath.Join(t.TempDir(), "out")
	command := &hooks.Command{Program: []string{program(t, `echo "$2 $3 $4: $PORTICO_PHASE $PORTICO_SERVER $PORTICO_INSTANCE" >>"$1"`),
		out}, Timeout: time.Minute}
	if err := command.Restart(t.Context(), "mbx1", 7); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out); string(got) != "restart mbx1 : restart mbx1 7\n" {
		t.Errorf("the program got %q", got)
	}
	var got map[string]string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		json.NewDecoder(r.Body).Decode(&got)
	}))
	defer server.Close()
	call := &hooks.HTTP{URL: server.URL, Timeout: time.Minute}
	if err := call.Restart(t.Context(), "mbx1", 7); err != nil || got["phase"] != "restart" ||
		got["server"] != "mbx1" || got["instance"] != "7" || len(got) != 3 {
		t.Errorf("%v: %v", got, err)
	}
}
