package configs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// secrets makes a folder with the certificates, keys and tokens that the files
// in testdata name: good ones, and some that are wrong in one way.
func secrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := certificate(t)
	_, otherKey := certificate(t)
	write(t, dir, "mail.crt", cert)
	write(t, dir, "mail.key", key)
	write(t, dir, "other.key", otherKey)
	write(t, dir, "ca.crt", cert)
	write(t, dir, "garbage.pem", "this is no PEM\n")
	write(t, dir, "broken.crt", encode("CERTIFICATE", []byte("broken")))
	write(t, dir, "admin.token", "0123456789abcdef\n")
	write(t, dir, "read.token", "fedcba9876543210\n")
	write(t, dir, "short.token", "secret\n")
	write(t, dir, "cluster.secret", "0123456789abcdef0123456789abcdef\n")
	write(t, dir, "etcd.password", "secret\n")
	write(t, dir, "tokens", "# who may do what\n"+testToken("ann", "change").Line()+"\n")
	for name, content := range map[string]string{"open.key": key, "open.token": "0123456789abcdef"} {
		if err := os.Chmod(write(t, dir, name, content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "mail.example.org"},
		DNSNames:     []string{"mail.example.org"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
