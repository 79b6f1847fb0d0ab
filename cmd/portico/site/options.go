// Package site opens the store that the nodes of a site share, and takes a node into a site and out of it. A running
// node and the command line both use it; the command line takes nodes in and out while they do not run.
package site

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"

	"portico/backend/secret"
	"portico/configs"
	"portico/configs/store/etcdstore"
)

// Options are what a node of a site needs of the configuration.
type Options struct {
	Name, Advertise string
	Secret          secret.Value
	Etcd            etcdstore.Options
}

// NewOptions returns the options of a node whose configuration has a cluster.
func NewOptions(config *configs.Config) (o Options, err error) {
	of := config.Cluster
	host, err := os.Hostname()
	if err != nil && of.Name == "" {
		return o, fmt.Errorf("cluster.name is missing, and the host has no name: %w", err)
	}
	o.Name, o.Advertise = cmp.Or(of.Name, host), of.Advertise
	if !configs.IsName(o.Name) {
		return o, fmt.Errorf("cluster.name is missing, and the host's name %q cannot be a node's", o.Name)
	}
	text, err := configs.ReadClusterSecret(of.SecretFile)
	if err != nil {
		return o, fmt.Errorf("cluster.secret_file: %w", err)
	}
	o.Secret = secret.Value(text)
	o.Etcd, err = etcdOptions(of.Etcd)
	return o, err
}

// Open opens the store of a site as it is in etcd, without opening what is sealed.
func Open(ctx context.Context, config *configs.Config) (*etcdstore.Store, error) {
	o, err := NewOptions(config)
	if err != nil {
		return nil, err
	}
	s, err := etcdstore.Open(ctx, o.Etcd)
	if err != nil {
		return nil, fmt.Errorf("cluster.etcd: %w", err)
	}
	return s, nil
}

// etcdOptions returns where the site's etcd is, and by what it lets this node in.
func etcdOptions(config configs.Etcd) (etcdstore.Options, error) {
	o := etcdstore.Options{Endpoints: config.Endpoints, Prefix: config.Prefix, User: config.User}
	if config.PasswordFile != "" {
		password, err := configs.ReadPassword(config.PasswordFile)
		if err != nil {
			return o, fmt.Errorf("cluster.etcd.password_file: %w", err)
		}
		o.Password = password
	}
	if !strings.HasPrefix(config.Endpoints[0], "https:") { // all are alike
		return o, nil
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if config.CA != "" {
		roots, err := configs.ReadCA(config.CA)
		if err != nil {
			return o, fmt.Errorf("cluster.etcd.ca: %w", err)
		}
		o.TLS.RootCAs = roots
	}
	if config.Cert == "" {
		return o, nil
	}
	own := func() (*tls.Certificate, error) { // a certificate may be renewed while Portico runs
		cert, err := tls.LoadX509KeyPair(config.Cert, config.Key)
		return &cert, err
	}
	if _, err := own(); err != nil {
		return o, fmt.Errorf("cluster.etcd.cert: %w", err)
	}
	o.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() }
	return o, nil
}
