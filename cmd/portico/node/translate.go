package node

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"

	"portico/backend"
	"portico/configs"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// These functions turn the configuration into the options of each part. Errors name the key.

// loops returns the number of event loops on a machine of that many CPUs.
func loops(config *configs.Config, cpus int) int { return cmp.Or(config.Loops, cpus) }

// signinThreads returns how many sign-ins may compute at once.
func signinThreads(config *configs.Config, cpus int) int {
	return cmp.Or(config.SetupSlots, loops(config, cpus))
}

func relayOptions(config *configs.Config, cpus int) relay.Options {
	return relay.Options{
		Loops:         loops(config, cpus),
		IdleTimeout:   config.Settings.AuthenticatedConnectionTimeout,
		LingerTimeout: configs.LingerTimeout,
		KeepAlive:     config.KeepaliveIdle,
		StallTimeout:  configs.StallTimeout,
		UserTimeout:   configs.ServerStallTimeout,
		IO:            relayIO[config.Relay.IO],
		Now:           relay.Clock(),
	}
}

// settings returns the settings of clients' sessions.
func (f *front) settings(config *configs.Config) proxy.Settings {
	set := config.Settings
	settings := proxy.Settings{
		Banner: set.Banner, LoginType: loginTypes[set.LoginType], TLS: f.tls, Tier: f.tier,
		DefaultDomain: config.DefaultDomain,
		QuietSignIns:  !config.Log.Signins, HealthUsers: healthHomes(config),
		Limits: proxy.Limits{
			Connections: set.MaxConnections, ConnectionsPerAddress: set.MaxConnectionFromSingleIP,
			Unauthenticated:           unauthenticated(set.MaxUnauthenticatedConnections, descriptorLimit()),
			ConnectionsPerUser:        set.MaxConnectionsPerUser,
			UnauthenticatedPerAddress: set.MaxUnauthenticatedConnectionsFromSingleIP,
			Commands: wire.Limits{
				Line: set.MaxCommandSize, Literal: set.MaxCommandSize, Command: set.MaxCommandSize,
				SASL: configs.SASLLimit,
			},
			BadCommands: configs.BadCommandsLimit, FailedSignIns: configs.FailedSignInsLimit,
		},
		Timeouts: proxy.Timeouts{
			Handshake: config.Timeouts.Handshake, Idle: set.PreAuthenticatedConnectionTimeout,
			SetUp: max(configs.SetUpTimeout, set.PreAuthenticatedConnectionTimeout),
			Write: configs.WriteTimeout,
		},
	}
	settings.OAuthUserClaim = config.Signin.OAuth.UserClaim
	settings.Guesses = proxy.GuessOptions(config.Penalties.Guesses)
	settings.AuthDelay, settings.TrustedNetworks = authDelay(config.Penalties), networks(config.TrustedNetworks)
	return settings
}

// unauthenticated returns how many clients may be connected before sign-in: what is configured, but no more than half
// of the process's descriptors (0: not known). Strangers would else take those that sign-ins and operators need,
// before the first has to give way.
func unauthenticated(configured int, descriptors uint64) int {
	if descriptors == 0 {
		return configured
	}
	return int(min(uint64(configured), max(descriptors/2, 1)))
}

// mostKept is the most descriptors that are kept back from clients: enough for HTTP, probes, hooks and files.
const mostKept = 512

// keptDescriptors returns the number from which on descriptors are kept back from clients, of those that the process
// may have (0: not known, and none is kept).
func keptDescriptors(descriptors uint64) int {
	descriptors = min(descriptors, math.MaxInt32)
	return int(descriptors - min(descriptors/4, mostKept))
}

// mailboxServers returns the options of all mailbox servers. report is called for certificates that are not valid.
func mailboxServers(config tierConfig, report func(what string, err error)) (all []backend.ServerOptions, err error) {
	for _, name := range slices.Sorted(maps.Keys(config.MailboxServers)) {
		server, err := serverOptions(name, config.MailboxServers[name], config.Settings.ProxyTargetPort)
		if err != nil {
			return nil, fmt.Errorf("mailbox_servers.%s: %w", name, err)
		}
		if !config.Settings.EnforceCertificateErrors {
			tolerate(server.TLSConfig, func(err error) {
				report("certificate of a mailbox server is not valid, connection used anyway",
					fmt.Errorf("%s: %w", name, err))
			})
		}
		all = append(all, server)
	}
	return all, nil
}

func serverOptions(name string, settings configs.MailboxServer, port int) (backend.ServerOptions, error) {
	server := backend.ServerOptions{
		Name: name, Addresses: settings.Targets(port), TLS: serverTLS[settings.TLS], TrustedID: settings.TrustedID,
		ProxyProtocol: proxyProtocols[settings.ProxyProtocol], Policy: policies[settings.ActivationPolicy],
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: settings.ServerName,
			InsecureSkipVerify: settings.InsecureSkipVerify},
	}
	for _, source := range settings.SourceAddresses {
		server.Sources = append(server.Sources, netip.MustParseAddr(source)) // Validate has accepted it
	}
	if settings.CA != "" {
		roots, err := configs.ReadCA(settings.CA)
		if err != nil {
			return server, fmt.Errorf("ca: %w", err)
		}
		server.TLSConfig.RootCAs = roots
	}
	return server, nil
}

// tolerate makes config accept a certificate that cannot be verified. It calls tell with the reason, once.
func tolerate(config *tls.Config, tell func(error)) {
	if config.InsecureSkipVerify {
		return
	}
	roots := config.RootCAs
	config.InsecureSkipVerify = true
	var once sync.Once
	config.VerifyConnection = func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, DNSName: state.ServerName, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(cert)
		}
		if _, err := state.PeerCertificates[0].Verify(options); err != nil {
			once.Do(func() { tell(err) })
		}
		return nil
	}
}

// databaseOptions returns the options of all databases.
func databaseOptions(config tierConfig) (all []backend.DatabaseOptions, err error) {
	for _, name := range config.DatabaseNames() {
		database := config.Databases[name]
		hook, err := newHook(database.Activate)
		if err != nil {
			return nil, fmt.Errorf("databases.%s.activate: %w", name, err)
		}
		all = append(all, backend.DatabaseOptions{Name: name, Copies: database.Copies,
			Interchangeable: database.Interchangeable, Hook: hook})
	}
	return all, nil
}

func serverTimeouts(timeouts configs.Timeouts) backend.Timeouts {
	return backend.Timeouts{Dial: timeouts.Connect, TLS: timeouts.Handshake, Greeting: timeouts.ServerGreeting,
		SignIn: timeouts.ServerSignin}
}

func circuitBreaker(breaker configs.Breaker) backend.CircuitBreakerOptions {
	return backend.CircuitBreakerOptions{Failures: breaker.Failures, First: breaker.First,
		Longest: max(breaker.First, breaker.Longest)}
}

func authDelay(penalties configs.Penalties) proxy.AuthDelayOptions {
	return proxy.AuthDelayOptions{First: penalties.First, Longest: max(penalties.Longest, penalties.First),
		Forget: penalties.Forget, Exempt: networks(penalties.Exempt)}
}

// networks parses networks that Validate has accepted.
func networks(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text).Masked())
	}
	return all
}
