package backendtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// defaultValidity is the default validity of certificates.
const defaultValidity = 30 * 24 * time.Hour

// clockSkew is how long before now certificates become valid by default.
const clockSkew = time.Hour

// CA is a temporary certificate authority. Its key never leaves memory. It is safe for concurrent use.
type CA struct {
	// CertPEM is the authority's own certificate.
	CertPEM []byte

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// CertOptions describe one certificate: a server's, or with Client a client's.
type CertOptions struct {
	// Hosts are the DNS names and IP addresses of the certificate, or a client's name and mail addresses. The first
	// one is its common name.
	Hosts  []string
	Client bool
	// NotBefore and NotAfter bound its validity; zero means an hour ago and 30
	// days from now. Both in the past make an expired certificate.
	NotBefore, NotAfter time.Time
}

// Certificate is a server certificate with its key.
type Certificate struct {
	CertPEM, KeyPEM []byte
	// TLS is the same pair for a tls.Config.
	TLS tls.Certificate
}

// NewCA returns an authority called name, with an ECDSA P-256 key.
func NewCA(name string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name},
		// expired leaves need an issuer that was valid then
		NotBefore:             now.Add(-10 * 365 * 24 * time.Hour),
		NotAfter:              now.Add(10 * 365 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back %s: %w", name, err)
	}
	return &CA{CertPEM: encodePEM("CERTIFICATE", der), cert: cert, key: key}, nil
}

// Issue returns a certificate with its own ECDSA P-256 key.
func (ca *CA) Issue(o CertOptions) (*Certificate, error) {
	if len(o.Hosts) == 0 {
		return nil, fmt.Errorf("issue certificate: no host given")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", o.Hosts[0], err)
	}
	template := leafTemplate(o)
	der, err := sign(template, ca.cert, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", o.Hosts[0], err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key of %s: %w", o.Hosts[0], err)
	}
	c := &Certificate{CertPEM: encodePEM("CERTIFICATE", der), KeyPEM: encodePEM("PRIVATE KEY", keyDER)}
	if c.TLS, err = tls.X509KeyPair(c.CertPEM, c.KeyPEM); err != nil {
		return nil, fmt.Errorf("pair key and certificate of %s: %w", o.Hosts[0], err)
	}
	return c, nil
}

// Pool returns a pool with only this authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// ClientConfig returns a client configuration that trusts only this authority and expects a server with the given name
// (DNS name or IP address).
func (ca *CA) ClientConfig(serverName string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: serverName, MinVersion: tls.VersionTLS12}
}

// WriteFile writes the authority's certificate as ca.crt in dir and returns the
// path.
func (ca *CA) WriteFile(dir string) (string, error) {
	path := filepath.Join(dir, "ca.crt")
	return path, os.WriteFile(path, ca.CertPEM, 0o644)
}

// ServerConfig returns a server configuration that presents c.
func (c *Certificate) ServerConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.TLS}, MinVersion: tls.VersionTLS12}
}

// WriteFiles writes NAME.crt and NAME.key (readable by the owner alone) in dir
// and returns their paths.
func (c *Certificate) WriteFiles(dir, name string) (certFile, keyFile string, err error) {
	certFile = filepath.Join(dir, name+".crt")
	keyFile = filepath.Join(dir, name+".key")
	if err := os.WriteFile(certFile, c.CertPEM, 0o644); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(keyFile, c.KeyPEM, 0o600); err != nil {
		return "", "", err
	}
	return certFile, keyFile, nil
}

func leafTemplate(o CertOptions) *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: o.Hosts[0]},
		NotBefore:   o.NotBefore,
		NotAfter:    o.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = now.Add(-clockSkew)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = now.Add(defaultValidity)
	}
	if o.Client {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	for _, host := range o.Hosts {
		ip := net.ParseIP(host)
		switch {
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case strings.Contains(host, "@"):
			t.EmailAddresses = append(t.EmailAddresses, host)
		case !o.Client:
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
