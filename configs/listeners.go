package configs

// Listener is one address that clients connect to.
type Listener struct {
	Address string  `yaml:"address"` // host:port; an empty host means every interface
	TLS     TLSMode `yaml:"tls"`     // required; no default
	// ProxyProtocol expects a header of HAProxy's PROXY protocol from clients in the trusted networks.
	ProxyProtocol bool `yaml:"proxy_protocol"`
}

// TLS configures TLS with clients.
type TLS struct {
	Certificates []Certificate `yaml:"certificates"` // the first one is used if no name matches
	MinVersion   TLSVersion    `yaml:"min_version"`
	// ClientCA is a file of CA certificates. A client certificate from one of them signs its user in; see Signin.
	ClientCA string `yaml:"client_ca" file:"relative"`
}

// Certificate is a certificate to present to clients, or a folder of certificates.
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

// TLSMode is how a connection starts TLS.
type TLSMode string

// The modes of TLS on an IMAP connection (RFC 8314).
const (
	TLSNone     TLSMode = "none"
	TLSStartTLS TLSMode = "starttls"
	TLSImplicit TLSMode = "implicit"
)

// TLSVersion is the oldest TLS version that clients may use.
type TLSVersion string

// The versions that are still safe to offer.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

func (TLSMode) choices() []string    { return texts(TLSNone, TLSStartTLS, TLSImplicit) }
func (TLSVersion) choices() []string { return texts(TLS12, TLS13) }
