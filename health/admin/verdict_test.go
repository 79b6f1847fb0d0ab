package admin

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Load balancers and the kubelet learn whether this node works, without a token and by any name of the host, and
// nothing else. Whoever may read learns why.
func TestVerdicts(t *testing.T) {
	testkit.NoLeaks(t)
	var dead, missing error
	o := Options{Name: "mx1", Alive: func() error { return dead }, Checks: []Check{
		{Name: "listeners", Ready: func() error { return missing }},
		{Name: "store", Ready: func() error { return errors.New("full") }, Advisory: true},
	}}
	o.Access = Access{Tokens: allTokens, KnownOnly: true}
	closed := open(t, testkit.Listen(t), o, nil)
	o.Access = Access{}
	loopback := open(t, testkit.Listen(t), o, nil)
	asks := func(path string, want int, word, reasons string) {
		t.Helper()
		for _, c := range []struct {
			of         *site
			host, with string
			body       string
		}{
			{closed, "localhost", "", word}, {closed, "10.0.0.7:8143", "", word},
			{closed, "localhost", "wrong", word}, {closed, "10.0.0.7", "wrong", word},
			{closed, "localhost", readToken, word + reasons}, {closed, "10.0.0.7", token, word + reasons},
			{loopback, "localhost", "", word + reasons}, {loopback, "rebound.example.com", "", word},
		} {
			if status, body, _ := c.of.get(t, "http", c.host, path, c.with); status != want || body != c.body {
				t.Errorf("%s of host %s with token %q: %d %q, want %d %q", path, c.host, c.with, status, body, want,
					c.body)
			}
		}
	}
	asks("/livez", 200, "alive\n", "")
	asks("/readyz", 200, "ready\n", "listeners: ok\nstore: full\n")
	asks(PathHealthcheck, 200, "200 OK", "<br/>mx1\n")
	dead, missing = errors.New("a loop hangs"), errors.New("none is open")
	asks("/livez", 503, "not alive\n", "a loop hangs\n")
	asks("/readyz", 503, "not ready\n", "listeners: none is open\nstore: full\n")
	asks(PathHealthcheck, 503, "503", " none is open<br/>mx1\n")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodOptions} {
		if got := closed.do(t, method, "/readyz", "", ""); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", method, got)
		}
	}
	for _, path := range []string{"/livez/", "/readyz/x", "/READYZ", strings.ToUpper(PathHealthcheck), "/imap/"} {
		if status, _, _ := closed.get(t, "http", "localhost", path, ""); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, status)
		}
	}
}
