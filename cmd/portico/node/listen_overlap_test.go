package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// overlapping is a Portico whose listeners all have one port.
type overlapping struct {
	*running
	port string
}

// write writes a configuration with listeners, each an address without port and a TLS mode.
func (o *overlapping) write(t *testing.T, watch string, listeners ...string) string {
	t.Helper()
	var all []string
	for _, one := range listeners {
		host, mode, _ := strings.Cut(one, " ")
		all = append(all, fmt.Sprintf("{address: %q, tls: %s}", net.JoinHostPort(host, o.port), mode))
	}
	return o.site.writeWithout(t, "listeners", fmt.Sprintf(
		"listeners: [%s]\nsettings: {login_type: plain_text_login}\nhealth: {config_watch: %s}\n",
		strings.Join(all, ", "), watch))
}

// answering lists which of some addresses take clients, those with TLS from the first byte in brackets.
func (o *overlapping) answering(t *testing.T) string {
	t.Helper()
	var all []string
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		address := net.JoinHostPort(host, o.port)
		if conn, err := tls.Dial("tcp", address, o.trust()); err == nil {
			conn.Close()
			all = append(all, "("+host+")")
		} else if !errors.Is(err, syscall.ECONNREFUSED) { // the greeting is no handshake
			testkit.Dial(t, address, nil).Expect("* OK *")
			all = append(all, host)
		}
	}
	return strings.Join(all, " ")
}

// A listener for all addresses takes the place of one for a single address with the same port, and the other way
// round, while clients come: at no moment is the port closed. If it cannot be opened, the one before goes on.
func TestListenersThatOverlap(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	ports, err := backendtest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	o := &overlapping{&running{site: site}, ports[0]}
	o.running = site.serve(t, o.write(t, "0s", "127.0.0.1 none"))
	session := testkit.Dial(t, "127.0.0.1:"+o.port, nil)
	session.Expect("* OK *")
	session.Command("a", "LOGIN alice secret")
	for _, step := range []struct{ listeners, answer string }{
		{"0.0.0.0 none", "127.0.0.1 127.0.0.2"},
		{"0.0.0.0 implicit", "(127.0.0.1) (127.0.0.2)"},
		{":: none", "127.0.0.1 127.0.0.2 ::1"},
		{":: none,0.0.0.0 implicit", "(127.0.0.1) (127.0.0.2) ::1"},
		{":: none", "127.0.0.1 127.0.0.2 ::1"},
		{"127.0.0.1 implicit", "(127.0.0.1)"},
		{"localhost implicit", "(127.0.0.1)"},
		{"::1 none,127.0.0.2 none", "127.0.0.2 ::1"},
		{" none", "127.0.0.1 127.0.0.2 ::1"},
		{"127.0.0.1 none", "127.0.0.1"},
	} {
		o.write(t, "0s", strings.Split(step.listeners, ",")...)
		if err := o.reload(); err != nil {
			t.Fatalf("%s: %v", step.listeners, err)
		}
		if got := o.answering(t); got != step.answer {
			t.Fatalf("with %s, %s answer", step.listeners, got)
		}
		session.Command("b", "NOOP")
	}

	// A probe of the new listener must not find the one before.
	for _, listener := range []string{"127.0.0.1 none", "0.0.0.0 implicit"} {
		o.write(t, "3m", listener)
		if err := o.reload(); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.answering(t); got != "(127.0.0.1) (127.0.0.2)" {
		t.Errorf("while it is watched, %s answer", got)
	}

	other := testkit.Listen(t)
	_, taken, _ := net.SplitHostPort(other.Addr().String())
	o.write(t, "0s", "127.0.0.1 none")
	site.replace(t, "listeners: [", fmt.Sprintf("listeners: [{address: \"127.0.0.2:%s\", tls: none}, "+
		"{address: \"0.0.0.0:%s\", tls: none}, ", o.port, taken))
	want := fmt.Sprintf("listeners[1]: listen on 0.0.0.0:%s: bind: address already in use", taken)
	if err := o.reload(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("with a port that another program has: %v", err)
	}
	if got := o.answering(t); got != "(127.0.0.1) (127.0.0.2)" {
		t.Errorf("after a change that failed, %s answer", got)
	}
}
