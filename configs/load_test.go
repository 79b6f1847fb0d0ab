package configs

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the .expected files")

// TestBadFiles loads one file per rule and expects all its problems, in order.
func TestBadFiles(t *testing.T) {
	dir := secrets(t)
	for _, name := range yamlFiles(t, "testdata/bad") {
		t.Run(name, func(t *testing.T) {
			c, err := Load(beside(t, dir, "testdata/bad/"+name))
			if err == nil {
				t.Fatal("loads without an error")
			}
			if c != nil {
				t.Error("a configuration comes with the error")
			}
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error is a %T, want Problems", err)
			}
			compare(t, "testdata/bad/"+name, dir, problems)
		})
	}
}

// TestWarnings loads files that work but deserve a word.
func TestWarnings(t *testing.T) {
	dir := secrets(t)
	for _, name := range yamlFiles(t, "testdata/warn") {
		t.Run(name, func(t *testing.T) {
			c, err := Load(beside(t, dir, "testdata/warn/"+name))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "testdata/warn/"+name, dir, c.Warnings())
		})
	}
}

func TestSmallest(t *testing.T) {
	dir := secrets(t)
	c := loadGood(t, dir, "smallest.yaml")
	want := Default()
	want.Listeners = []Listener{{Address: "0.0.0.0:143", TLS: TLSStartTLS}, {Address: "0.0.0.0:993", TLS: TLSImplicit}}
	want.TLS.Certificates = []Certificate{{Cert: dir + "/mail.crt", Key: dir + "/mail.key"}}
	want.MailboxServers = map[string]MailboxServer{
		"mbx1": {Address: "10.0.0.11:993", TLS: TLSImplicit, CA: dir + "/ca.crt", ProxyProtocol: ProxyProtocolNone,
			ActivationPolicy: PolicyUnrestricted},
	}
	want.Databases = map[string]Database{"db1": {Copies: []string{"mbx1"}, Activate: Hook{Timeout: time.Minute}}}
	want.Loops = 2
	same(t, c, want)
}

func TestEverything(t *testing.T) {
	dir := secrets(t)
	c := loadGood(t, dir, "everything.yaml")
	pair := KeyPair{dir + "/mail.crt", dir + "/mail.key"}
	same(t, c, &Config{
		Listeners: []Listener{{Address: "[::]:143", TLS: TLSStartTLS}, {Address: ":993", TLS: TLSImplicit}},
		TLS: TLS{Certificates: []Certificate{{Cert: pair.Cert, Key: pair.Key}, {Cert: pair.Cert, Key: pair.Key}},
			MinVersion: TLS13},
		Admin: Admin{
			Socket: dir + "/run/admin.sock", Address: "0.0.0.0:8143", TLS: pair,
			TokenFile: dir + "/admin.token", AllowedHosts: []string{"portico.example.org", "192.0.2.1"},
			ReadTokenFile: dir + "/read.token", SocketGroup: "mail", SocketGroupMay: RightChange,
			TokensFile: dir + "/tokens", ClientCA: dir + "/ca.crt",
			ClientRights: map[string]Right{"ann": RightChange, "Monitoring, Inc.": RightRead},
		},
		MailboxServers: map[string]MailboxServer{
			"mbx1.example.org": {
				Addresses: []string{"10.0.0.11:993", "[2001:db8::11]:993"}, TLS: TLSImplicit,
				CA: dir + "/ca.crt", ServerName: "mbx1.example.org", TrustedID: true, ProxyProtocol: ProxyProtocolNone,
				ActivationPolicy: PolicyUnrestricted,
			},
			"2": {Address: "mbx2.example.org:143", TLS: TLSStartTLS, ProxyProtocol: ProxyProtocolNone,
				ActivationPolicy: PolicyUnrestricted},
		},
		Databases: map[string]Database{
			"db1": {Copies: []string{"mbx1.example.org", "2"}, Interchangeable: true,
				Activate: Hook{Timeout: time.Minute}},
			"db2": {Copies: []string{"2"}, Activate: Hook{Timeout: time.Minute}},
		},
		Routing: RoutingHash, Signin: Default().Signin, Breaker: Default().Breaker, Pace: Default().Pace,
		Directory: Default().Directory, Penalties: Default().Penalties, Health: Default().Health,
		Settings: Settings{
			LoginType: PlainTextAuthentication, Banner: "Welcome to example.org.",
			MaxConnections: 20000, MaxConnectionFromSingleIP: 100, MaxConnectionsPerUser: 32,
			MaxUnauthenticatedConnections: 500, MaxUnauthenticatedConnectionsFromSingleIP: 1000, MaxCommandSize: 16384,
			MaxCommandsBurst: 200, ProxyTargetPort: 993, EnforceCertificateErrors: true,
			PreAuthenticatedConnectionTimeout: 30 * time.Second, AuthenticatedConnectionTimeout: 24 * time.Hour,
			ProtocolLogEnabled: true, LogFileLocation: dir + "/rows", LogFileRollOverSettings: Weekly,
			LogPerFileSizeQuota: 100 << 20,
			ProtocolLogAgeQuota: 48 * time.Hour, ProtocolLogSizeQuota: Unlimited, ProtocolLogFormat: ProtocolLogJSON,
			ProtocolLogHashUsers: true, ProtocolLogShortenAddresses: true,
		},
		Timeouts:      Timeouts{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second},
		DefaultDomain: "example.org", Loops: 4, SetupSlots: 6,
		Cluster: Cluster{Name: "mx1", Advertise: "https://mx1.example.org:8143", SecretFile: dir + "/cluster.secret",
			Patience: 90 * time.Second, Fence: Hook{Command: []string{"power", "off"}, Timeout: time.Minute},
			Etcd: Etcd{Endpoints: []string{"https://10.0.0.21:2379", "https://[2001:db8::22]:2379"},
				Prefix: "/mail/site1", CA: dir + "/ca.crt", Cert: pair.Cert, Key: pair.Key, User: "portico",
				PasswordFile: dir + "/etcd.password"}},
		Relay:         Relay{ServerBuffer: 512 << 10, IO: RelayIOEpoll},
		Store:         Store{Backups: 30},
		KeepaliveIdle: 5 * time.Minute, DataDir: dir + "/data",
		Log: Log{LogDebug, LogConsole, true},
	})
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "portico.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want ErrNotExist", err)
	}
}

func TestParseTooLarge(t *testing.T) {
	_, err := Parse("big.yaml", []byte(strings.Repeat("#\n", MaxFileSize)))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("error is %v, want one problem", err)
	}
}

// TestPositions: line ends, comments, blank lines and wide letters do not shift
// what a problem points at.
func TestPositions(t *testing.T) {
	lines := []string{"# ünï", "admin:", "  # c", `  socket: "ü"`, "", "  adress: x # ü",
		`settings: {banner: "üü", bannr: x}`, "logg: 1"}
	want := `x.yaml:6:3: admin.adress: unknown key; did you mean address?
x.yaml:7:26: settings.bannr: unknown key; did you mean banner?
x.yaml:8:1: logg: unknown key; did you mean log?`
	for _, end := range []string{"\n", "\r\n"} {
		_, err := Parse("x.yaml", []byte(strings.Join(lines, end)))
		if err == nil || err.Error() != want {
			t.Errorf("with %q problems are\n%v\nwant\n%s", end, err, want)
		}
	}
}

// TestValidateWithoutFile judges a configuration made in code: no positions.
func TestValidateWithoutFile(t *testing.T) {
	c := Default()
	c.Listeners = []Listener{{Address: "127.0.0.1:143", TLS: "maybe"}}
	c.MailboxServers = map[string]MailboxServer{"a": {Address: "127.0.0.1:993", TLS: TLSImplicit,
		ProxyProtocol: ProxyProtocolNone, ActivationPolicy: PolicyUnrestricted}}
	c.Databases = map[string]Database{"d": {Copies: []string{"a"}, Activate: Hook{Timeout: time.Minute}}}
	c.TLS.Certificates = []Certificate{{}}
	got := c.Validate().Error()
	want := `listeners[0].tls: must be one of none, starttls, implicit, not "maybe"
tls.certificates[0].cert: is missing
tls.certificates[0].key: is missing`
	if got != want {
		t.Errorf("problems are\n%s\nwant\n%s", got, want)
	}
}

// FuzzParse: whatever the file holds, reading and judging it never panics, and
// every problem points into the file.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "portico.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no files match %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := parse("fuzz.yaml", data)
		c.TLS, c.Admin, c.MailboxServers = TLS{}, Admin{}, nil // Validate must not open files a fuzzer names
		for _, p := range append(problems, c.Validate()...) {
			if p.Line < 1 || p.Column < 1 {
				t.Errorf("%q has no place in the file", p)
			}
		}
	})
}

func loadGood(t *testing.T, dir, name string) *Config {
	t.Helper()
	c, err := Load(beside(t, dir, "testdata/good/"+name))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings()) > 0 {
		t.Errorf("warnings: %v", c.Warnings())
	}
	return c
}

// beside copies a file beside the secrets it names, as portico.yaml.
func beside(t *testing.T, dir, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "portico.yaml", string(data))
}

func compare(t *testing.T, file, dir string, problems Problems) {
	t.Helper()
	got := strings.ReplaceAll(problems.Error(), dir+"/", "") + "\n"
	expected := strings.TrimSuffix(file, ".yaml") + ".expected"
	if *update {
		if err := os.WriteFile(expected, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(expected)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("problems are\n%swant\n%s", got, want)
	}
}

func same(t *testing.T, got, want *Config) {
	t.Helper()
	plain := *got
	plain.source, plain.warnings = nil, nil
	if !reflect.DeepEqual(&plain, want) {
		t.Errorf("configuration is\n%+v\nwant\n%+v", &plain, want)
	}
}

func yamlFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}
