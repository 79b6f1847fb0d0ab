package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/configs"
	"portico/configs/store"
	"portico/proxy"
	"portico/proxy/wire"
)

// Strangers get no more than half of the descriptors.
func TestUnauthenticatedLeavesDescriptors(t *testing.T) {
	for _, c := range []struct {
		configured  int
		descriptors uint64
		want        int
	}{{10_000, 0, 10_000}, {10_000, 20_000, 10_000}, {10_000, 400, 200}, {100, 400, 100}, {10_000, 1, 1}} {
		if got := unauthenticated(c.configured, c.descriptors); got != c.want {
			t.Errorf("%d configured, %d descriptors: %d, want %d", c.configured, c.descriptors, got, c.want)
		}
	}
}

// A quarter of the descriptors is kept back from clients, but no more than is of use.
func TestKeptDescriptors(t *testing.T) {
	for _, c := range []struct {
		limit uint64
		first int
	}{{0, 0}, {160, 120}, {1024, 768}, {20_000, 19_488}, {1 << 63, 1<<31 - 1 - mostKept}} {
		if got := keptDescriptors(c.limit); got != c.first {
			t.Errorf("of %d the first kept is %d, want %d", c.limit, got, c.first)
		}
	}
}

// newState returns what the tiers of a node share if nothing is stored.
func newState(t *testing.T) *mailboxState {
	t.Helper()
	kept := store.Memory()
	state, err := newMailboxState(t.Context(), kept, kept, nil, func(string, error) {})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestTranslation(t *testing.T) {
	config, err := configs.Load(newSite(t).write(t, `default_domain: example.org
keepalive_idle: 7m
settings: {banner: Hello., max_connections: 5, max_connection_from_single_ip: 4, max_connections_per_user: 3,
  max_unauthenticated_connections: 2, max_command_size: 2048, pre_authenticated_connection_timeout: 10m,
  authenticated_connection_timeout: 1h}
timeouts: {handshake: 3s}
relay: {server_buffer: 3MB}
`))
	if err != nil {
		t.Fatal(err)
	}
	front, err := newFront(context.Background(), config, newState(t))
	if err != nil {
		t.Fatal(err)
	}
	settings := front.settings(config)
	wantLimits := proxy.Limits{Connections: 5, ConnectionsPerAddress: 4, ConnectionsPerUser: 3, Unauthenticated: 2,
		UnauthenticatedPerAddress: 1000, BadCommands: 10, FailedSignIns: 3,
		Commands: wire.Limits{Line: 2048, Literal: 2048, Command: 2048, SASL: 64 << 10}}
	if settings.Limits != wantLimits {
		t.Errorf("limits: %+v", settings.Limits)
	}
	wantTimeouts := proxy.Timeouts{Handshake: 3 * time.Second, Idle: 10 * time.Minute, SetUp: 10 * time.Minute,
		Write: 10 * time.Second}
	if settings.Timeouts != wantTimeouts {
		t.Errorf("timeouts: %+v", settings.Timeouts)
	}
	if settings.Banner != "Hello." || settings.DefaultDomain != "example.org" ||
		settings.LoginType != proxy.SecureLogin {
		t.Errorf("settings: %+v", settings)
	}
	if got := relayOptions(config, 8); got.Loops != 2 || got.KeepAlive != 7*time.Minute ||
		got.IdleTimeout != time.Hour {
		t.Errorf("relay: %+v", got)
	}
	if got := upstream(config.Relay).Dialer.ReceiveMemory; got != 3<<20 {
		t.Errorf("the kernel may use %d bytes for a mailbox server's connection", got)
	}
	if got := signinThreads(config, 8); got != 2 {
		t.Errorf("%d set-up slots with 2 loops", got)
	}
	config.Loops = 0
	if l, s := loops(config, 8), signinThreads(config, 8); l != 8 || s != 8 {
		t.Errorf("%d loops and %d slots on 8 CPUs", l, s)
	}
}

func TestServerTranslation(t *testing.T) {
	site := newSite(t)
	ca, err := site.ca.WriteFile(site.dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := serverOptions("mbx1", configs.MailboxServer{
		Addresses: []string{"a:1", "b"}, TLS: configs.TLSStartTLS, CA: ca, ServerName: "name", TrustedID: true,
	}, 1993)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "mbx1" || !slices.Equal(got.Addresses, []string{"a:1", "b:1993"}) ||
		got.TLS != backend.TLSStartTLS || !got.TrustedID ||
		got.TLSConfig.ServerName != "name" || got.TLSConfig.InsecureSkipVerify ||
		!got.TLSConfig.RootCAs.Equal(site.ca.Pool()) {
		t.Errorf("%+v", got)
	}
}

// Files can go bad between the check and the use; the error still names the key.
func TestErrorsNameTheKey(t *testing.T) {
	site := newSite(t)
	broken := filepath.Join(site.dir, "broken")
	if err := os.WriteFile(broken, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for key, change := range map[string]func(*configs.Config){
		"tls.certificates": func(c *configs.Config) { c.TLS.Certificates[0].Cert = broken },
		"mailbox_servers.mbx1: ca": func(c *configs.Config) {
			c.MailboxServers["mbx1"] = configs.MailboxServer{Address: "a:1", CA: broken}
		},
		"databases": func(c *configs.Config) { c.Databases = nil },
		"admin.tls": func(c *configs.Config) {
			c.Admin.TLS = configs.KeyPair{Cert: broken, Key: broken}
		},
		"admin.token_file": func(c *configs.Config) { c.Admin.TokenFile = broken },
	} {
		config, err := configs.Load(site.write(t, ""))
		if err != nil {
			t.Fatal(err)
		}
		change(config)
		_, err = newFront(context.Background(), config, newState(t))
		if strings.HasPrefix(key, "admin") {
			_, err = adminAccess(config.Admin)
		}
		if err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
