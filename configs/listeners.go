package configs

import (
	"crypto/tls"
)

// Listener is one address clients connect to.
type Listener struct {
	Address string  `yaml:"address" reload:"no"` // host:port; an empty host is every interface
	TLS     TLSMode `yaml:"tls" reload:"no"`     // no default: it must be said
	// ProxyProtocol says that clients in the trusted networks begin with a header
	// of HAProxy's PROXY protocol.
	ProxyProtocol bool `yaml:"proxy_protocol" reload:"no"`
}

// TLS is what clients see of us.
type TLS struct {
	Certificates []Certificate `yaml:"certificates"` // the first is used when no name matches
	MinVersion   TLSVersion    `yaml:"min_version"`
	// ClientCA vouches for clients' certificates, which sign them in; see Signin.
	ClientCA string `yaml:"client_ca" file:"relative"`
}

// Certificate is one to show to clients, or a folder of them.
type Certificate struct {
	Cert string `yaml:"cert" file:"relative"`
	Key  string `yaml:"key" file:"relative"`
	// Dir holds pairs NAME.crt and NAME.key, or folders with fullchain.pem and
	// privkey.pem.
	Dir string `yaml:"dir" file:"relative"`
}

// KeyPair names the PEM files of a certificate chain and its private key.
type KeyPair struct {
	Cert string `yaml:"cert" file:"relative"`
	Key  string `yaml:"key" file:"relative"`
}

// Admin is the way in for operators.
type Admin struct {
	// Unix socket of the same HTTP as Address; "" for none
	Socket    string  `yaml:"socket" file:"relative" reload:"no"`
	Address   string  `yaml:"address" reload:"no"`        // HTTP; "" for none
	TLS       KeyPair `yaml:"tls"`                        // for Address
	TokenFile string  `yaml:"token_file" file:"relative"` // bearer token for Address; see ReadToken
	// bearer token that reads and changes nothing; "": on loopback everybody reads
	ReadTokenFile string `yaml:"read_token_file" file:"relative"`
	// whose members may open Socket; "" for none
	SocketGroup    string      `yaml:"socket_group" reload:"no"`
	SocketGroupMay SocketRight `yaml:"socket_group_may"`
	AllowedHosts   []string    `yaml:"allowed_hosts"` // Host headers taken beside loopback names
}

// SocketRight is what members of admin.socket_group may do.
type SocketRight string

// Whoever may change things may read them too.
const (
	SocketRead   SocketRight = "read"
	SocketChange SocketRight = "change"
)

// TLSMode is how a connection gets its TLS.
type TLSMode string

// The three ways of TLS on an IMAP connection (RFC 8314).
const (
	TLSNone     TLSMode = "none"
	TLSStartTLS TLSMode = "starttls"
	TLSImplicit TLSMode = "implicit"
)

// TLSVersion is the oldest TLS version clients may use.
type TLSVersion string

// The versions that are still safe to offer.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// Number returns the version as crypto/tls counts it.
func (v TLSVersion) Number() uint16 {
	if v == TLS13 {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

func (TLSMode) choices() []string     { return texts(TLSNone, TLSStartTLS, TLSImplicit) }
func (TLSVersion) choices() []string  { return texts(TLS12, TLS13) }
func (SocketRight) choices() []string { return texts(SocketRead, SocketChange) }
