package cli

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"portico/backend/secret"
	"portico/configs"
	"portico/health/admin/client"
)

// credentials are the files with which a command gets in at an address, and by which it knows that address.
type credentials struct {
	tokenFile     string
	ca, cert, key string
}

// flags adds the flags of credentials. Each may also be in the environment.
func (c *credentials) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.tokenFile, "token-file", "",
		"`file` with the token, for a URL that needs one; the default is PORTICO_TOKEN_FILE")
	flags.StringVar(&c.ca, "ca", "",
		"PEM `file` with the CA certificates of a https URL; the default is PORTICO_CA, then the system's")
	flags.StringVar(&c.cert, "cert", "",
		"PEM `file` with a client certificate, instead of a token; the default is PORTICO_CERT")
	flags.StringVar(&c.key, "key", "",
		"PEM `file` with its key; the default is PORTICO_KEY, then the file of --cert")
}

// read reads the files.
func (c *credentials) read() (by client.Credentials, err error) {
	if file := cmp.Or(c.tokenFile, os.Getenv("PORTICO_TOKEN_FILE")); file != "" {
		token, err := configs.ReadToken(file)
		if err != nil {
			return by, err
		}
		by.Token = secret.Value(token)
	}
	ca, cert := cmp.Or(c.ca, os.Getenv("PORTICO_CA")), cmp.Or(c.cert, os.Getenv("PORTICO_CERT"))
	key := cmp.Or(c.key, os.Getenv("PORTICO_KEY"))
	if cert == "" && c.key != "" {
		return by, errors.New("--key needs --cert")
	}
	if ca+cert == "" {
		return by, nil
	}
	by.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		if by.TLS.RootCAs, err = configs.ReadCA(ca); err != nil {
			return by, fmt.Errorf("--ca: %w", err)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, cmp.Or(key, cert))
		if err != nil {
			return by, fmt.Errorf("--cert: %w", err)
		}
		by.TLS.Certificates = []tls.Certificate{pair}
	}
	return by, nil
}
