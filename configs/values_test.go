package configs

import (
	"slices"
	"testing"
	"time"
)

func TestDifferences(t *testing.T) {
	parsed := func(text string) *Config {
		t.Helper()
		c, err := Parse("/etc/portico.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const was = `
listeners: [{address: ":143", tls: none}, {address: ":993", tls: implicit}]
mailbox_servers: {mbx1: {address: "mbx1:143"}}
databases: {db1: {copies: [mbx1, mbx2]}}
health: {escalate: {alertmanager: {url: "http://ann:sesame@alerts/"}}}
loops: 2
`
	const now = `
listeners: [{address: ":993", tls: implicit, proxy_protocol: true}]
mailbox_servers: {mbx1: {address: "mbx1:144"}, "mbx 2": {address: "mbx2:143"}}
databases: {db1: {copies: [mbx2]}}
health: {escalate: {alertmanager: {url: "http://ann:other@alerts/"}}}
loops: 3
keepalive_idle: 5m
`
	got := Differences(parsed(was), parsed(now))
	for _, want := range []Difference{
		{Path: `listeners[":143"].tls`, Was: "none"},
		{Path: `listeners[":993"].proxy_protocol`, Was: "false", Now: "true"},
		{Path: "mailbox_servers.mbx1.address", Was: "mbx1:143", Now: "mbx1:144"},
		{Path: `mailbox_servers."mbx 2".address`, Now: "mbx2:143"},
		{Path: "databases.db1.copies", Was: `["mbx1", "mbx2"]`, Now: `["mbx2"]`},
		{Path: "health.escalate.alertmanager.url", Was: "http://alerts/", Now: "http://alerts/"},
		{Path: "loops", Was: "2", Now: "3", Restart: true},
		{Path: "keepalive_idle", Was: "10m", Now: "5m"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%+v is missing in\n%+v", want, got)
		}
	}
	if slices.ContainsFunc(got, func(d Difference) bool { return d.Path == `listeners[":993"].tls` }) {
		t.Errorf("a listener in another place differs: %+v", got)
	}
	if got := Differences(parsed(was), parsed(was)); got != nil {
		t.Errorf("nothing differs, but %+v", got)
	}
}

func TestAsRunning(t *testing.T) {
	started, now := Default(), Default()
	started.Loops, started.Admin.Socket, started.Relay.IO = 2, "/run/one", RelayIOEpoll
	now.Loops, now.Admin.Socket, now.KeepaliveIdle, now.Relay.ServerBuffer = 3, "/run/two", time.Minute, 7
	got := now.AsRunning(started)
	if got.Loops != 2 || got.Admin.Socket != "/run/one" || got.Relay.IO != RelayIOEpoll ||
		got.KeepaliveIdle != time.Minute || got.Relay.ServerBuffer != 7 || now.Loops != 3 {
		t.Errorf("%+v", got)
	}
}
