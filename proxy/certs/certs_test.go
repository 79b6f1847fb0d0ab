package certs_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/proxy/certs"
)

// folder writes certificates.
type folder struct {
	t   testing.TB
	dir string
	ca  *backendtest.CA
}

func newFolder(t testing.TB) *folder {
	t.Helper()
	ca, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	return &folder{t: t, dir: t.TempDir(), ca: ca}
}

// issue writes NAME.crt and NAME.key.
func (f *folder) issue(name string, hosts ...string) certs.Source {
	f.t.Helper()
	cert, err := f.ca.Issue(backendtest.CertOptions{Hosts: hosts})
	if err == nil {
		_, _, err = cert.WriteFiles(f.dir, name)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return certs.Source{Cert: filepath.Join(f.dir, name+".crt"), Key: filepath.Join(f.dir, name+".key")}
}

// put writes a file, with a time of change of its own: some file systems count in seconds.
func (f *folder) put(name string, content []byte) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		f.t.Fatal(err)
	}
	changed := time.Now().Add(time.Duration(len(content)) * time.Second)
	if err := os.Chtimes(path, changed, changed); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) open(sources ...certs.Source) *certs.Certificates {
	f.t.Helper()
	c, err := certs.Open(sources)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// shown is the first name of the certificate that a client gets who asks for a name.
func shown(t testing.TB, c *certs.Certificates, name string) string {
	t.Helper()
	state, err := handshake(t, &tls.Config{GetCertificate: c.Choose},
		&tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].DNSNames[0]
}

// handshake returns what the client got. The server says a byte, so that the client has its ticket.
func handshake(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln := testkit.Listen(t)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			encrypted := tls.Server(conn, server)
			encrypted.SetDeadline(time.Now().Add(testkit.Patience))
			encrypted.Write([]byte{'*'})
			encrypted.Close()
		}
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

func TestChoose(t *testing.T) {
	f := newFolder(t)
	c := f.open(f.issue("first", "mail.example.org"), f.issue("wild", "*.example.com"),
		f.issue("exact", "imap.example.com", "pop.example.com"))
	for asked, want := range map[string]string{
		"mail.example.org":     "mail.example.org",
		"imap.example.com":     "imap.example.com",
		"POP.Example.COM":      "imap.example.com",
		"other.example.com":    "*.example.com",
		"deep.sub.example.com": "mail.example.org",
		"example.com":          "mail.example.org",
		"unknown.test":         "mail.example.org",
		"":                     "mail.example.org",
	} {
		if got := shown(t, c, asked); got != want {
			t.Errorf("%q is shown the certificate of %s, want %s", asked, got, want)
		}
	}
}

// A renewed pair is taken when it is whole and nobody writes it any more; until then, and whatever else comes, the old
// one is shown.
func TestRefresh(t *testing.T) {
	f := newFolder(t)
	source := f.issue("mail", "old.example.org")
	c := f.open(source)
	expect := func(when, want string, failing int, told string) {
		t.Helper()
		err := c.Refresh()
		if told == "" && err != nil || told != "" && (err == nil || !strings.Contains(err.Error(), told)) {
			t.Errorf("%s: %v, want %q", when, err, told)
		}
		if got := shown(t, c, ""); got != want {
			t.Errorf("%s: shown is %s", when, got)
		}
		if c.Failing() != failing {
			t.Errorf("%s: %d fail", when, c.Failing())
		}
	}
	expect("unchanged", "old.example.org", 0, "")

	renewed, err := f.ca.Issue(backendtest.CertOptions{Hosts: []string{"new.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	f.put("mail.crt", renewed.CertPEM)
	expect("half renewed", "old.example.org", 0, "")
	expect("half renewed for long", "old.example.org", 1, "")
	f.put("mail.key", renewed.KeyPEM)
	expect("just renewed", "old.example.org", 1, "")
	expect("renewed", "new.example.org", 0, "")

	f.put("mail.crt", []byte("nonsense"))
	expect("just broken", "new.example.org", 0, "")
	expect("broken", "new.example.org", 1, "")
	expect("still broken", "new.example.org", 1, "mail.crt")
	expect("broken for long", "new.example.org", 1, "")
	os.Remove(source.Key)
	expect("gone", "new.example.org", 1, "")
	f.put("mail.crt", renewed.CertPEM)
	f.put("mail.key", renewed.KeyPEM)
	c.Refresh()
	expect("mended", "new.example.org", 0, "")
}

func TestFolder(t *testing.T) {
	f := newFolder(t)
	f.issue("a", "a.example.org")
	f.issue("b", "b.example.org")
	f.put("README", []byte("no certificate"))
	f.put("a.issuer.crt", []byte("has no key"))
	f.put("broken.crt", []byte("nonsense"))
	f.put("broken.key", nil)
	if err := os.Mkdir(filepath.Join(f.dir, "c.example.org"), 0o700); err != nil {
		t.Fatal(err)
	}
	live, err := f.ca.Issue(backendtest.CertOptions{Hosts: []string{"c.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	f.put("c.example.org/fullchain.pem", live.CertPEM)
	f.put("c.example.org/privkey.pem", live.KeyPEM)
	c := f.open(certs.Source{Dir: f.dir})
	all := func(when string, want map[string]string) {
		t.Helper()
		for name, want := range want {
			if got := shown(t, c, name); got != want {
				t.Errorf("%s: %s is shown %s, want %s", when, name, got, want)
			}
		}
	}
	all("at first", map[string]string{"a.example.org": "a.example.org", "b.example.org": "b.example.org",
		"c.example.org": "c.example.org"})
	if c.Failing() != 1 {
		t.Errorf("%d fail, want the broken one", c.Failing())
	}

	f.issue("d", "d.example.org")
	os.Remove(filepath.Join(f.dir, "b.crt"))
	c.Refresh()
	all("one look later", map[string]string{"d.example.org": "a.example.org", "b.example.org": "b.example.org"})
	if err := c.Refresh(); err == nil || !strings.Contains(err.Error(), "broken.crt") {
		t.Errorf("the broken pair is not told: %v", err)
	}
	all("two looks later", map[string]string{"d.example.org": "d.example.org", "b.example.org": "a.example.org"})

	if err := os.Rename(f.dir, f.dir+".away"); err != nil {
		t.Fatal(err)
	}
	told := 0
	for range 4 {
		if err := c.Refresh(); err != nil {
			told++
		}
	}
	all("with the folder gone", map[string]string{"d.example.org": "d.example.org"})
	if told != 1 || c.Failing() == 0 {
		t.Errorf("told %d times that the folder has gone, %d fail", told, c.Failing())
	}

	for name, sources := range map[string][]certs.Source{
		"nothing": nil, "no folder": {{Dir: f.dir + "/none"}}, "empty folder": {{Dir: t.TempDir()}},
		"no file": {{Cert: "none", Key: "none"}},
	} {
		if _, err := certs.Open(sources); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestExpires(t *testing.T) {
	f := newFolder(t)
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	cert, err := f.ca.Issue(backendtest.CertOptions{Hosts: []string{"soon.example.org"}, NotAfter: soon})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := cert.WriteFiles(f.dir, "soon")
	if err != nil {
		t.Fatal(err)
	}
	c := f.open(f.issue("later", "later.example.org"), certs.Source{Cert: certFile, Key: keyFile})
	if got := c.Expires(); !got.Equal(soon) {
		t.Errorf("the first ends %v, want %v", got, soon)
	}
}

// A session is resumed across a reload, in a process that goes on with the keys, and until its key is the third from
// the newest; and not when other authorities vouch for clients.
func TestTickets(t *testing.T) {
	f := newFolder(t)
	c := f.open(f.issue("mail", "mail.example.org"))
	tickets, err := certs.NewTickets(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	configure := func(clients *x509.CertPool) *tls.Config {
		t.Helper()
		config := &tls.Config{GetCertificate: c.Choose, ClientCAs: clients}
		if err := tickets.Use(config); err != nil {
			t.Fatal(err)
		}
		return config
	}
	server := configure(nil)
	client := &tls.Config{ServerName: "mail.example.org", RootCAs: f.ca.Pool()}
	resumed := func() bool {
		t.Helper()
		state, err := handshake(t, server, client)
		if err != nil {
			t.Fatal(err)
		}
		return state.DidResume
	}
	inAnotherProcess := func(clients *x509.CertPool) func() {
		return func() {
			keys := tickets.Keys()
			if tickets, err = certs.NewTickets(rand.Reader); err != nil {
				t.Fatal(err)
			}
			tickets.Adopt(keys)
			server = configure(clients)
		}
	}
	steps := []struct {
		name string
		do   func()
		want bool
	}{
		{"the next time", func() {}, true},
		{"in another process", inAnotherProcess(nil), true},
		{"in one that asks for certificates", inAnotherProcess(f.ca.Pool()), false},
		{"in another of that kind", inAnotherProcess(f.ca.Pool()), false},
		{"in one that does not", inAnotherProcess(nil), false},
		{"after a reload", func() { server = configure(nil) }, true},
		{"after two rotations", func() { tickets.Rotate(); tickets.Rotate() }, true},
		{"after three", func() { tickets.Rotate(); tickets.Rotate(); tickets.Rotate() }, false},
		{"with other authorities", func() { server = configure(f.ca.Pool()) }, false},
		{"with the same again", func() { server = configure(f.ca.Pool()) }, true},
		{"without any", func() { server = configure(nil) }, false},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, step := range steps {
			client.ClientSessionCache, client.MaxVersion = tls.NewLRUClientSessionCache(1), version
			if resumed() {
				t.Fatal("the first time is resumed")
			}
			step.do()
			if got := resumed(); got != step.want {
				t.Errorf("%s, %s: resumed %v", tls.VersionName(version), step.name, got)
			}
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Ten thousand certificates cost a handshake what one does.
func BenchmarkChoose(b *testing.B) {
	f := newFolder(b)
	for _, n := range []int{1, 10_000} {
		for i := range n {
			f.issue(fmt.Sprint(i), fmt.Sprintf("host%d.example.org", i))
		}
		began, before := time.Now(), heap()
		c := f.open(certs.Source{Dir: f.dir})
		b.Logf("%d certificates: read in %v, %d KiB", n, time.Since(began).Round(time.Millisecond),
			(heap()-before)/1024)
		hello := &tls.ClientHelloInfo{
			ServerName: "host0.example.org", SupportedVersions: []uint16{tls.VersionTLS13},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			SupportedCurves:  []tls.CurveID{tls.X25519},
		}
		b.Run(fmt.Sprintf("handshake with one of %d", n), func(b *testing.B) {
			server, client := &tls.Config{GetCertificate: c.Choose}, &tls.Config{ServerName: "host0.example.org",
				RootCAs: f.ca.Pool()}
			for b.Loop() {
				if _, err := handshake(b, server, client); err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, asked := range map[string]string{"known": "host0.example.org", "unknown": "unknown.example.org"} {
			b.Run(fmt.Sprintf("%s of %d", name, n), func(b *testing.B) {
				hello.ServerName = asked
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Choose(hello); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
