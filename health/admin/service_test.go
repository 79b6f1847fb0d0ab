package admin

import (
	"net/http"
	"path/filepath"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Whoever may change things may have the present program take over from itself. A program to run may only be named by
// who could run it anyway.
func TestOnlyTheOwnerNamesAProgram(t *testing.T) {
	const other = `{"program":"/bin/sh"}`
	options := Options{API: (&changing{}).api(), Access: Access{Tokens: allTokens}}
	tcp := open(t, testkit.Listen(t), options, nil)
	for body, want := range map[string]int{`{}`: http.StatusOK, other: http.StatusForbidden} {
		if got := tcp.do(t, http.MethodPost, PathUpgrade, token, body); got != want {
			t.Errorf("a token that may change things, %s: %d, want %d", body, got, want)
		}
	}
	ln, err := ListenUnix(testkit.Context(t), filepath.Join(t.TempDir(), "admin.sock"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := open(t, ln, options, nil).do(t, http.MethodPost, PathUpgrade, "", other); got != http.StatusOK {
		t.Errorf("the owner: %d", got)
	}
}
