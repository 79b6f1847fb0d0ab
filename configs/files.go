package configs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// minTokenLength refuses tokens that can be guessed, in bytes.
const minTokenLength = 16

// ReadToken returns the bearer token in a file: the text without surrounding white space. It is a secret: never log
// it.
func ReadToken(path string) (string, error) { return readWord(path, "token", minTokenLength) }

// readWord returns the only word in a file, of at least that many characters.
func readWord(path, what string, least int) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	word := strings.TrimSpace(string(data))
	if len(word) < least {
		return "", fmt.Errorf("%s holds a %s of %d characters: the minimum is %d", path, what, len(word), least)
	}
	if strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s must hold one word of printable ASCII", path)
	}
	return word, nil
}

// ReadPassword returns the password in a file: the text without its line end. It is a secret: never log it.
func ReadPassword(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(data), "\r\n")
	switch {
	case password == "":
		return "", fmt.Errorf("%s holds no password", path)
	case strings.ContainsAny(password, "\x00\r\n"):
		return "", fmt.Errorf("%s must hold one line", path)
	}
	return password, nil
}

// ReadCA returns the certificates of a PEM file as a pool for verification.
func ReadCA(path string) (*x509.CertPool, error) {
	chain, err := readCertificates(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, cert := range chain {
		pool.AddCert(cert)
	}
	return pool, nil
}

// certificates reads every file that the configuration names for TLS and access, and reports errors.
func (v *validator) certificates() {
	for i, c := range v.c.TLS.Certificates {
		path := item("tls.certificates", i)
		switch {
		case c.Dir == "":
			v.pair(path, KeyPair{c.Cert, c.Key})
		case c.Cert+c.Key != "":
			v.failKey(join(path, "dir"), "is given together with cert or key: give dir or both of them")
		default:
			if _, err := os.ReadDir(c.Dir); err != nil {
				v.failKey(join(path, "dir"), "%s", err)
			}
		}
	}
	v.authorities("tls.client_ca", v.c.TLS.ClientCA)
	v.authorities("admin.client_ca", v.c.Admin.ClientCA)
	if a := v.c.Admin.TLS; a.Cert != "" && a.Key != "" {
		v.pair("admin.tls", a)
	}
	for path, file := range map[string]string{"admin.token_file": v.c.Admin.TokenFile,
		"admin.read_token_file": v.c.Admin.ReadTokenFile} {
		if file == "" {
			continue
		}
		if _, err := ReadToken(file); err != nil {
			v.failKey(path, "%s", err)
		} else {
			v.secret(path, file)
		}
	}
	if file := v.c.Admin.TokensFile; file != "" {
		_, problems := readTokens(file)
		for _, err := range problems {
			v.failKey("admin.tokens_file", "%s", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.c.MailboxServers)) {
		if file := v.c.MailboxServers[name].CA; file != "" {
			if _, err := readCertificates(file); err != nil {
				v.failKey(join(join("mailbox_servers", name), "ca"), "%s", err)
			}
		}
	}
}

// pair reads a certificate and its key, and reports which of them is wrong.
func (v *validator) pair(path string, pair KeyPair) {
	cert, key := join(path, "cert"), join(path, "key")
	if pair.Cert == "" {
		v.failKey(cert, "is missing")
	}
	if pair.Key == "" {
		v.failKey(key, "is missing")
	}
	if pair.Cert == "" || pair.Key == "" {
		return
	}
	_, certErr := readCertificates(pair.Cert)
	if certErr != nil {
		v.failKey(cert, "%s", certErr)
	}
	if _, err := readFile(pair.Key); err != nil {
		v.failKey(key, "%s", err)
		return
	}
	v.secret(key, pair.Key)
	if certErr != nil {
		return
	}
	if _, err := tls.LoadX509KeyPair(pair.Cert, pair.Key); err != nil {
		v.failKey(key, "%s is not the key of %s: %s", pair.Key, pair.Cert, err)
	}
}

// secret warns about a file with a secret that every user of the machine can read.
func (v *validator) secret(path, file string) {
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o004 != 0 {
		v.warn(path, "every user of this machine can read %s: run chmod 0640 on it", file)
	}
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s holds a broken certificate: %w", path, err)
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errNoCertificate)
	}
	return chain, nil
}

var errNoCertificate = errors.New("contains no PEM certificate")
