package node

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"portico/backend/secret"
	"portico/configs"
	"portico/configs/store/etcdstore"
)

// clusterOptions are what the start of a node of a cluster needs of the configuration.
type clusterOptions struct {
	name, advertise string
	secret          secret.Value
	store           etcdstore.Options
}

// newClusterOptions returns the options of a node of a cluster.
func newClusterOptions(config *configs.Config) (o clusterOptions, err error) {
	of := config.Cluster
	o.name, o.advertise = cmp.Or(of.Name, nodeName()), of.Advertise
	if !configs.IsName(o.name) {
		return o, fmt.Errorf("cluster.name: the host's name %q cannot be a node's: give another", o.name)
	}
	text, err := configs.ReadClusterSecret(of.SecretFile)
	if err != nil {
		return o, fmt.Errorf("cluster.secret_file: %w", err)
	}
	o.secret = secret.Value(text)
	o.store, err = clusterStore(of)
	return o, err
}

// clusterStore returns where the site's store is, and by what etcd lets this node in.
func clusterStore(config configs.Cluster) (etcdstore.Options, error) {
	at := config.Etcd
	o := etcdstore.Options{Endpoints: at.Endpoints, Prefix: at.Prefix, User: at.User}
	if at.PasswordFile != "" {
		password, err := configs.ReadPassword(at.PasswordFile)
		if err != nil {
			return o, fmt.Errorf("cluster.etcd.password_file: %w", err)
		}
		o.Password = password
	}
	if !strings.HasPrefix(at.Endpoints[0], "https:") { // all are alike
		return o, nil
	}
	trust, err := trusting(at.CA)
	if err != nil {
		return o, fmt.Errorf("cluster.etcd.ca: %w", err)
	}
	if at.Cert != "" {
		own := func() (*tls.Certificate, error) { // a certificate may be renewed while Portico runs
			cert, err := tls.LoadX509KeyPair(at.Cert, at.Key)
			return &cert, err
		}
		if _, err := own(); err != nil {
			return o, fmt.Errorf("cluster.etcd.cert: %w", err)
		}
		trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() }
	}
	o.TLS = trust
	return o, nil
}

// fencing is what recovery does about an absent node.
type fencing struct {
	patience time.Duration
	hook     hook // nil for none
}

// newFencing returns what recovery does about an absent node.
func newFencing(config configs.Cluster) (f fencing, err error) {
	if f.hook, err = newHook(config.Fence); err != nil {
		err = fmt.Errorf("cluster.fence.%w", err)
	}
	f.patience = config.Patience
	return f, err
}
