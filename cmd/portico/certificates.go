package main

import (
	"crypto/tls"
	"fmt"
	"strings"

	"portico/configs"
)

// certificates are those that clients may be shown. Read-only once made.
type certificates struct {
	all    []*tls.Certificate // in the file's order
	byName map[string][]*tls.Certificate
}

// clientTLS returns what clients see of TLS; nil if there is no certificate.
func clientTLS(config configs.TLS) (*tls.Config, error) {
	if len(config.Certificates) == 0 {
		return nil, nil
	}
	chosen, err := loadCertificates(config.Certificates)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: config.MinVersion.Number(), GetCertificate: chosen.choose}, nil
}

func loadCertificates(pairs []configs.KeyPair) (*certificates, error) {
	c := &certificates{byName: make(map[string][]*tls.Certificate)}
	for i, pair := range pairs {
		cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.certificates[%d]: %w", i, err)
		}
		c.all = append(c.all, &cert)
		for _, name := range cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			c.byName[name] = append(c.byName[name], &cert)
		}
	}
	return c, nil
}

// choose picks a certificate for the name the client asks for (SNI): one with that very name, else with a wildcard for it, else
// the first. Where several fit, the first wins whose kind of key the client can use.
func (c *certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	anyName := *hello
	anyName.ServerName = ""
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, parent, _ := strings.Cut(name, ".")
	for _, candidates := range [][]*tls.Certificate{c.byName[name], c.byName["*."+parent], c.all} {
		for _, cert := range candidates {
			if anyName.SupportsCertificate(cert) == nil {
				return cert, nil
			}
		}
	}
	return c.all[0], nil // the handshake fails, and says why
}
