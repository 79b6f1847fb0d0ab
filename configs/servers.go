package configs

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// MailboxServer is a server that holds mailboxes. Exactly one of Address and
// Addresses is given; [MailboxServer.Targets] reads both.
type MailboxServer struct {
	Address    string   `yaml:"address"`
	Addresses  []string `yaml:"addresses"` // tried in turn
	TLS        TLSMode  `yaml:"tls"`
	CA         string   `yaml:"ca" file:"relative"` // PEM; "" for the system's roots
	ServerName string   `yaml:"server_name"`        // name the certificate must carry; "" for the address's host
	// InsecureSkipVerify takes any certificate. Whoever sits between then reads every password.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// ActivationPolicy may be changed by command.
	ActivationPolicy ActivationPolicy `yaml:"activation_policy"`
	// SourceAddresses are addresses of this machine to connect from, in turn.
	SourceAddresses []string `yaml:"source_addresses"`
	// ProxyProtocol tells the server the client's address.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
	// TrustedID sends the client's address and session id to the server in ID.
	TrustedID bool `yaml:"trusted_id"`
}

// Targets returns the host:port pairs of the server in the order to try them;
// port is for those that have none.
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

// withPort completes an address that is a host alone.
func withPort(address string, port int) string {
	if _, _, err := net.SplitHostPort(address); err == nil || address == "" {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(port))
}

// Database is a group of mailboxes and the servers that hold a copy of it.
type Database struct {
	// names of mailbox servers, in order of preference; the first is active until a move
	Copies []string `yaml:"copies"`
	// Interchangeable says that all copies are the same mail at all times
	// (shared storage), so that a sign-in may try the next one.
	Interchangeable bool `yaml:"interchangeable"`
	// Activate tells the storage which copy is to be active, when that changes.
	Activate Hook `yaml:"activate"`
}

// Hook is a program or a call over HTTP. At most one of Command and URL is
// given.
type Hook struct {
	Command   []string      `yaml:"command"` // a program and its arguments; no shell
	URL       string        `yaml:"url"`
	CA        string        `yaml:"ca" file:"relative"`         // PEM; "" for the system's roots
	TokenFile string        `yaml:"token_file" file:"relative"` // bearer token for URL; see ReadToken
	Timeout   time.Duration `yaml:"timeout" range:"100ms..4m"`  // of one call
}

// Pace says how fast sign-ins are let in to a mailbox server after a pause or a
// move, when many may have waited.
type Pace struct {
	SigninsPerSecond int           `yaml:"signins_per_second" range:"0..1000000"` // 0 is as fast as they come
	For              time.Duration `yaml:"for" range:"1s..1h"`                    // how long after it
}

// ActivationPolicy says whether databases are activated on a server
// automatically: Exchange's DatabaseCopyAutoActivationPolicy.
type ActivationPolicy string

// Somebody who names server and database is obeyed whatever the policy.
const (
	PolicyUnrestricted ActivationPolicy = "unrestricted"
	PolicyBlocked      ActivationPolicy = "blocked"
)

// Breaker says when a mailbox server that fails is left alone for a while, so
// that sign-ins are refused at once and do not wait for it.
type Breaker struct {
	Failures int           `yaml:"failures" range:"0..1000"` // in a row; 0 is never
	First    time.Duration `yaml:"first" range:"100ms..5m"`  // then it is left alone for so long
	Longest  time.Duration `yaml:"longest" range:"100ms..1h"`
}

// Timeouts bound the steps of setting a session up.
type Timeouts struct {
	// TCP connect to one address of a mailbox server
	Connect   time.Duration `yaml:"connect" range:"100ms..5m"`
	Handshake time.Duration `yaml:"handshake" range:"100ms..5m"` // one TLS handshake, on either side
	// a mailbox server's greeting and capabilities
	ServerGreeting time.Duration `yaml:"server_greeting" range:"100ms..5m"`
	ServerSignin   time.Duration `yaml:"server_signin" range:"100ms..5m"` // a mailbox server's answer to the sign-in
}

// ProxyProtocol is a version of HAProxy's PROXY protocol.
type ProxyProtocol string

// The versions, and none.
const (
	ProxyProtocolNone ProxyProtocol = "none"
	ProxyProtocolV1   ProxyProtocol = "v1"
	ProxyProtocolV2   ProxyProtocol = "v2"
)

func (ProxyProtocol) choices() []string {
	return texts(ProxyProtocolNone, ProxyProtocolV1, ProxyProtocolV2)
}
func (ActivationPolicy) choices() []string { return texts(PolicyUnrestricted, PolicyBlocked) }
