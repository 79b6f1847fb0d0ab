package httpdir

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/directory"
	"portico/backend/secret"
)

// verdict is what a lookup gives, in words.
func verdict(e directory.Entry, err error) string {
	var refused *directory.RefusedError
	switch {
	case errors.As(err, &refused):
		return "refused: " + refused.Reason
	case errors.Is(err, directory.ErrUnavailable):
		return "unavailable"
	case err != nil:
		return err.Error()
	}
	text := strings.TrimSpace(e.User + " " + e.Database + e.Server + e.Address)
	if e.Mode == directory.ModeMaster {
		text += " as master"
	}
	if e.MaxConnections > 0 {
		text += fmt.Sprintf(" at most %d", e.MaxConnections)
	}
	return text
}

func TestAnswers(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"by address": headers("Auth-Status", "OK", "Auth-Server", "10.0.0.11", "Auth-Port", "143"),
		"IPv6":       headers("Auth-Status", "OK", "Auth-Server", "[fd00::1]", "Auth-Port", "143"),
		"by name":    headers("Auth-Status", "ok", "Auth-Server", "mbx1"),
		"database":   headers("Auth-Status", "OK", "Auth-Database", "db1", "Auth-User", "other@example.org"),
		"overrides": headers("Auth-Status", "OK", "Auth-Server", "mbx1", "Auth-Mode", "master",
			"Auth-Max-Connections", "3"),
		"bad mode":  headers("Auth-Status", "OK", "Auth-Server", "mbx1", "Auth-Mode", "open"),
		"bad count": headers("Auth-Status", "OK", "Auth-Server", "mbx1", "Auth-Max-Connections", "-1"),
		"refused":   headers("Auth-Status", "Invalid login \u00e9 or password"),
		"temporary": headers("Auth-Status", "Temporary server problem, try again later"),
		"try again": headers("Auth-Status", "Busy", "Auth-Error-Code", "451 4.3.0"),
		"wait":      headers("Auth-Status", "WAIT", "Auth-Wait", "1"),
		"unknown":   headers("Auth-Status", "Who is that?", "Auth-Result", "unknown"),
		"disabled":  headers("Auth-Status", "Left, not temporary", "Auth-Result", "refused"),
		"bad port":  headers("Auth-Status", "OK", "Auth-Server", "10.0.0.11", "Auth-Port", "0"),
		"no body": func(w http.ResponseWriter) {
			headers("Auth-Status", "OK", "Auth-Server", "mbx1")(w)
			w.WriteHeader(http.StatusNoContent)
		},
		"forbidden": func(w http.ResponseWriter) {
			headers("Auth-Status", "No")(w)
			w.WriteHeader(http.StatusForbidden)
		},
		"no status": headers("Auth-Server", "10.0.0.11"),
		"no server": headers("Auth-Status", "OK"),
		"error": func(w http.ResponseWriter) {
			w.Header().Set("Auth-Status", "OK")
			w.WriteHeader(http.StatusInternalServerError)
		},
		"elsewhere": func(w http.ResponseWriter) {
			w.Header().Set("Location", "/other")
			w.Header().Set("Auth-Status", "OK")
			w.WriteHeader(http.StatusFound)
		},
		"long": func(w http.ResponseWriter) {
			w.Header().Set("Auth-Status", strings.Repeat("x", 64<<10))
		},
		"big body": func(w http.ResponseWriter) {
			headers("Auth-Status", "OK", "Auth-Server", "mbx1")(w)
			w.Write(make([]byte, 1<<20))
		},
		"panics": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[strings.ReplaceAll(r.Header.Get("Auth-User"), "%20", " ")](w)
	}))
	defer server.Close()
	d, err := New(Options{InFlight: 1, URLs: []string{server.URL + "/auth"}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for user, want := range map[string]string{
		"by address": "10.0.0.11:143", "IPv6": "[fd00::1]:143", "by name": "mbx1", "database": "other@example.org db1",
		"refused": "refused: Invalid login ? or password", "temporary": "unavailable", "no status": "unavailable",
		"no server": "unavailable", "error": "unavailable", "elsewhere": "unavailable", "long": "unavailable",
		"try again": "unavailable", "wait": "unavailable", "unknown": directory.ErrNotFound.Error(),
		"disabled": "refused: Left, not temporary", "bad port": "unavailable", "no body": "mbx1",
		"forbidden": "refused: No",
		"big body":  "mbx1", "panics": "unavailable", "overrides": "mbx1 as master at most 3",
		"bad mode":  "unavailable",
		"bad count": "unavailable",
	} {
		if got := verdict(d.Lookup(t.Context(), directory.Query{User: user})); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
}

func headers(pairs ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Set(pairs[i], pairs[i+1])
		}
	}
}

// No name and no password can forge a header, and a password goes only where it was asked for.
func TestQuestion(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		headers("Auth-Status", "OK", "Auth-Server", "mbx1")(w)
	}))
	defer server.Close()
	q := directory.Query{
		User: "a b%\r\nX-Evil: 1é@x", Password: "p w%\r\n\x00", Client: netip.MustParseAddrPort("192.0.2.1:5"),
		TLS: true, Attempt: 2,
	}
	for _, sends := range []bool{false, true} {
		d, err := New(Options{InFlight: 1, URLs: []string{server.URL}, SendPassword: sends,
			Header: http.Header{"X-Secret": {"s"}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Lookup(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		d.Close()
		password := map[bool]string{true: "p%20w%25%0D%0A%00", false: ""}[sends]
		for name, want := range map[string]string{
			"Auth-User": "a%20b%25%0D%0AX-Evil:%201\u00e9@x", "Auth-Pass": password, "Auth-Method": "plain",
			"Auth-Protocol":      "imap",
			"Auth-Login-Attempt": "2", "Client-Ip": "192.0.2.1", "Auth-Ssl": "on", "X-Secret": "s", "X-Evil": "",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Get(name), want)
			}
		}
	}
}

// A server that is down, hangs, or has no sense is passed over; the one that answered is asked first from then on.
func TestSeveral(t *testing.T) {
	var broken, good atomic.Int32
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		broken.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer bad.Close()
	fine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		good.Add(1)
		headers("Auth-Status", "OK", "Auth-Server", "mbx1")(w)
	}))
	defer fine.Close()
	down := httptest.NewServer(nil)
	down.Close()
	d, err := New(Options{InFlight: 1, URLs: []string{down.URL, bad.URL, fine.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 3 {
		if got := verdict(d.Lookup(t.Context(), directory.Query{User: "ann"})); got != "mbx1" {
			t.Errorf("got %s", got)
		}
	}
	if broken.Load() != 1 || good.Load() != 3 {
		t.Errorf("%d questions to the broken, %d to the good", broken.Load(), good.Load())
	}
}

// Slow is unavailable when the time is over, back again is fine, and no error tells the password or the address with a
// secret in it.
func TestSlow(t *testing.T) {
	hang := make(chan struct{})
	var slow atomic.Bool
	slow.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		headers("Auth-Status", "OK", "Auth-Server", "mbx1")(w)
	}))
	defer server.Close()
	defer close(hang)
	d, err := New(Options{InFlight: 1, URLs: []string{server.URL + "/?key=swordfish"}, SendPassword: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	q := directory.Query{User: "ann", Password: "swordfish"}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = d.Lookup(ctx, q)
	if !errors.Is(err, directory.ErrUnavailable) || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("got %v", err)
	}
	slow.Store(false)
	if got := verdict(d.Lookup(t.Context(), q)); got != "mbx1" {
		t.Errorf("back again: %s", got)
	}
}

func TestBadURLs(t *testing.T) {
	for _, urls := range [][]string{nil, {"ftp://x"}, {"http://"}, {"::"}} {
		if _, err := New(Options{InFlight: 1, URLs: urls}); err == nil {
			t.Errorf("%q is taken", urls)
		}
	}
}

// A password is judged by Auth-Status; only what says so is something else than a wrong one.
func TestVerify(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		switch r.Header.Get("Auth-Pass") {
		case "right":
			headers("Auth-Status", "OK")(w)
		case "unknown", "refused":
			headers("Auth-Status", "No", "Auth-Result", r.Header.Get("Auth-Pass"))(w)
		case "broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			headers("Auth-Status", "Invalid login or password", "Auth-Wait", "3")(w)
		}
	}))
	defer server.Close()
	d, err := New(Options{InFlight: 1, URLs: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for password, want := range map[secret.Value]string{
		"right": "", "wrong": directory.ErrBadCredential.Error(), "": directory.ErrBadCredential.Error(),
		"unknown": directory.ErrNotFound.Error(), "refused": "refused: No", "broken": "unavailable",
	} {
		_, err := d.Verify(t.Context(), directory.Query{User: "ann", Login: "root", Password: password})
		if verdict := verdict(directory.Entry{}, err); verdict != want {
			t.Errorf("%q: %s, want %s", password.Reveal(), verdict, want)
		}
	}
	if got.Get("Auth-User") != "root" {
		t.Errorf("asked for %s", got.Get("Auth-User"))
	}
}
