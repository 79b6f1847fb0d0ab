package configs

import (
	"net/netip"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSample: the file people copy loads, says nothing but defaults, and leaves
// no key out.
func TestSample(t *testing.T) {
	dir := secrets(t)
	c, err := Load(beside(t, dir, "portico.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings()) > 0 {
		t.Errorf("warnings: %v", c.Warnings())
	}
	want := Default()
	want.Listeners, want.TLS.Certificates = c.Listeners, c.TLS.Certificates
	want.MailboxServers = map[string]MailboxServer{"mbx1": {Address: "10.0.0.11:993", TLS: TLSImplicit,
		ProxyProtocol: ProxyProtocolNone, ActivationPolicy: PolicyUnrestricted}}
	want.Databases = map[string]Database{"db1": {Copies: []string{"mbx1"}, Activate: Hook{Timeout: time.Minute}}}
	same(t, c, want)
}

func TestSampleHasEveryKey(t *testing.T) {
	data, err := os.ReadFile("portico.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("portico.yaml", uncomment(data))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("[0]", "[]", ".mbx1", ".<name>", ".db1", ".<name>", ".mx2", ".<name>")
	present := make(map[string]bool)
	for path := range c.source.locations {
		present[names.Replace(path)] = true
	}
	for _, key := range Keys() {
		if !present[key.Path] {
			t.Errorf("portico.yaml leaves %s out", key.Path)
		}
	}
}

// uncomment turns on the keys that are off: "#" and then indent, perhaps a dash, and a key.
func uncomment(data []byte) []byte {
	return regexp.MustCompile(`(?m)^#( {2,}(?:- )?[a-z_0-9]+:)`).ReplaceAll(data, []byte("$1"))
}

// TestReference: docs/configuration.md has one row per key, and what the row
// says of type, default, range and reload is so.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == 6 && strings.HasPrefix(cells[0], "`") {
			rows[strings.Trim(cells[0], "`")] = cells[1:5]
		}
	}
	for _, key := range Keys() {
		want := []string{key.Type, code(key.Default), code(key.Range),
			map[bool]string{true: "yes", false: "no"}[key.Reload]}
		if got := rows[key.Path]; !reflect.DeepEqual(got, want) {
			t.Errorf("row of `%s` is %q, want %q", key.Path, got, want)
		}
		delete(rows, key.Path)
	}
	for path := range rows {
		t.Errorf("there is no key %s", path)
	}
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// TestUnit: the systemd unit makes the folders the defaults name.
func TestUnit(t *testing.T) {
	data, err := os.ReadFile("portico.service")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	for _, line := range []string{
		"StateDirectory=" + path.Base(c.DataDir),
		"RuntimeDirectory=" + path.Base(path.Dir(c.Admin.Socket)),
		"AmbientCapabilities=CAP_NET_BIND_SERVICE",
		"LimitNOFILE=1048576",
	} {
		if !strings.Contains(string(data), "\n"+line+"\n") {
			t.Errorf("portico.service lacks %s", line)
		}
	}
}

// TestPackagedConfiguration: what packages install opens nothing beyond loopback, and the socket unit is about the same
// addresses.
func TestPackagedConfiguration(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t) // as the installation makes them
	write(t, dir, "self-signed.crt", cert)
	write(t, dir, "self-signed.key", key)
	write(t, dir, "tokens", "")
	c, err := Load(beside(t, dir, path.Join("..", "packaging", "portico.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile("portico.socket")
	if err != nil {
		t.Fatal(err)
	}
	var opened []string
	for line := range strings.Lines(string(unit)) {
		if address, is := strings.CutPrefix(line, "ListenStream="); is {
			opened = append(opened, strings.TrimSpace(address))
		}
	}
	var wanted []string
	for _, l := range c.Listeners {
		wanted = append(wanted, l.Address)
	}
	if !slices.Equal(opened, wanted) {
		t.Errorf("portico.socket opens %q, the listeners are %q", opened, wanted)
	}
	for _, address := range append(wanted, c.Admin.Address) {
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().IsLoopback() {
			t.Errorf("%s is not on loopback", address)
		}
	}
}
