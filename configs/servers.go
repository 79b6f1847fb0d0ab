package configs

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// MailboxServer is a server that holds mailboxes. Exactly one of Address and Addresses is set; [MailboxServer.Targets]
// returns either.
type MailboxServer struct {
	Address    string   `yaml:"address"`
	Addresses  []string `yaml:"addresses"` // tried in turn
	TLS        TLSMode  `yaml:"tls"`
	CA         string   `yaml:"ca" file:"relative"` // PEM; "" for the system's CAs
	ServerName string   `yaml:"server_name"`        // name that the certificate must have; "" for the host of the address
	// InsecureSkipVerify accepts any certificate. Anybody on the network path can then read every password.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// ActivationPolicy is the initial policy; a command can change it.
	ActivationPolicy ActivationPolicy `yaml:"activation_policy"`
	// SourceAddresses are local addresses to connect from, in turn.
	SourceAddresses []string `yaml:"source_addresses"`
	// ProxyProtocol sends the client's address in a header of this version.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
	// TrustedID sends the client's address and session id to the server in ID.
	TrustedID bool `yaml:"trusted_id"`
}

// Targets returns the server's host:port pairs in the order to try them. Addresses without a port get the given one.
func (m MailboxServer) Targets(port int) []string {
	addresses := m.Addresses
	if m.Address != "" {
		addresses = []string{m.Address}
	}
	targets := make([]string, len(addresses))
	for i, address := range addresses {
		targets[i] = withPort(address, port)
	}
	return targets
}

// withPort adds a port to an address without one.
func withPort(address string, port int) string {
	if _, _, err := net.SplitHostPort(address); err == nil || address == "" {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(port))
}

// Database is a group of mailboxes and the servers that hold a copy of it.
type Database struct {
	// names of mailbox servers, in order of preference; the first one is active until a move
	Copies []string `yaml:"copies"`
	// Interchangeable says that all copies hold the same mail at all times, as on shared storage. Then a sign-in may
	// try the next one.
	Interchangeable bool `yaml:"interchangeable"`
	// Activate is called when another copy is to become active, so that the storage switches to it.
	Activate Hook `yaml:"activate"`
}

// Hook is a program to run or an HTTP request to send. At most one of Command and URL is set.
type Hook struct {
	Command   []string      `yaml:"command"` // a program and its arguments; no shell
	URL       string        `yaml:"url"`
	CA        string        `yaml:"ca" file:"relative"`         // PEM; "" for the system's CAs
	TokenFile string        `yaml:"token_file" file:"relative"` // bearer token for URL; see ReadToken
	Timeout   time.Duration `yaml:"timeout" range:"100ms..4m"`  // of one call
}

// IsSet reports whether there is something to call.
func (h Hook) IsSet() bool { return len(h.Command) > 0 || h.URL != "" }

// Pace limits the rate of sign-ins at a mailbox server after a pause or a move, when many users may have waited.
type Pace struct {
	SigninsPerSecond int           `yaml:"signins_per_second" range:"0..1000000"` // 0 is no limit
	For              time.Duration `yaml:"for" range:"1s..1h"`                    // how long the limit lasts
}

// ActivationPolicy says whether databases are activated on a server
// automatically: Exchange's DatabaseCopyAutoActivationPolicy.
type ActivationPolicy string

// The policy binds automatic moves. A move that names server and database ignores it.
const (
	PolicyUnrestricted ActivationPolicy = "unrestricted"
	PolicyBlocked      ActivationPolicy = "blocked"
)

// Breaker configures the circuit breaker of a mailbox server: after failures, Portico does not connect to the server
// for a while and refuses sign-ins at once.
type Breaker struct {
	Failures int           `yaml:"failures" range:"0..1000"` // consecutive failures that open it; 0 is never
	First    time.Duration `yaml:"first" range:"100ms..5m"`  // how long it is open the first time
	Longest  time.Duration `yaml:"longest" range:"100ms..1h"`
}

// Timeouts bound the steps of a session's set-up.
type Timeouts struct {
	// TCP connect to one address of a mailbox server
	Connect   time.Duration `yaml:"connect" range:"100ms..5m"`
	Handshake time.Duration `yaml:"handshake" range:"100ms..5m"` // one TLS handshake, with client or server
	// a mailbox server's greeting and capabilities
	ServerGreeting time.Duration `yaml:"server_greeting" range:"100ms..5m"`
	ServerSignin   time.Duration `yaml:"server_signin" range:"100ms..5m"` // a mailbox server's answer to the sign-in
}

// ProxyProtocol is a version of HAProxy's PROXY protocol.
type ProxyProtocol string

// The versions; none sends no header.
const (
	ProxyProtocolNone ProxyProtocol = "none"
	ProxyProtocolV1   ProxyProtocol = "v1"
	ProxyProtocolV2   ProxyProtocol = "v2"
)

func (ProxyProtocol) choices() []string {
	return texts(ProxyProtocolNone, ProxyProtocolV1, ProxyProtocolV2)
}
func (ActivationPolicy) choices() []string { return texts(PolicyUnrestricted, PolicyBlocked) }
