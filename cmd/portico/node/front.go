package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"portico/backend"
	"portico/backend/hooks"
	"portico/backend/secret"
	"portico/configs"
	"portico/proxy"
	"portico/proxy/certs"
	"portico/proxy/setup"
)

// front is what clients' sessions need beside settings. A reload makes another.
type front struct {
	tls            *tls.Config         // what clients see of TLS; nil for none
	certificates   *certs.Certificates // in it; nil for none
	tier           *backend.Tier       // the way to the mailbox servers
	circuitBreaker backend.CircuitBreakerOptions
	pace           backend.PaceOptions
}

// newFront builds one. It comes last of what can fail in a reload but for what is checked in passing, since routing by
// hash may pin the databases, and a tier puts its databases in force.
func newFront(ctx context.Context, config *configs.Config, shared *mailboxState) (*front, error) {
	f := &front{circuitBreaker: circuitBreaker(config.Breaker),
		pace: backend.PaceOptions{PerSecond: config.Pace.SigninsPerSecond, For: config.Pace.For}}
	var err error
	if f.tls, f.certificates, err = clientTLS(config.TLS); err != nil {
		return nil, err
	}
	if f.tier, err = newTier(ctx, tierConfig{config, tierSettingsOf(config.Settings)}, shared); err != nil {
		return nil, err
	}
	return f, nil
}

// tierSettings are the settings that the way to the mailbox servers reads. If one of them changes, another way is
// built.
type tierSettings struct {
	ProxyTargetPort          int
	EnforceCertificateErrors bool
}

func tierSettingsOf(set configs.Settings) tierSettings {
	return tierSettings{ProxyTargetPort: set.ProxyTargetPort, EnforceCertificateErrors: set.EnforceCertificateErrors}
}

// tierConfig is the configuration as the way to the mailbox servers sees it. Its Settings hide all settings but
// tierSettings, so that the way reads no setting whose change it would miss.
type tierConfig struct {
	*configs.Config
	Settings tierSettings
}

// newTier builds the way to the mailbox servers.
func newTier(ctx context.Context, config tierConfig, shared *mailboxState) (*backend.Tier, error) {
	connect := upstream(config.Relay)
	options := backend.Options{
		Routing:           routings[config.Routing],
		Homes:             healthHomes(config.Config),
		Mode:              modes[config.Signin.Mode],
		Certificates:      config.TLS.ClientCA != "",
		Store:             shared.site,
		Active:            shared.active,
		OfferedMechanisms: shared.mechanisms,
		SigninQueues:      shared.signinQueues,
		CircuitBreakers:   shared.circuitBreakers,
		SigninOutcomes:    shared.outcomes,
		Upstream:          connect,
		Timeouts:          serverTimeouts(config.Timeouts),
		Now:               time.Now,
	}
	var err error
	if options.Master, err = newMaster(config.Signin.Master); err != nil {
		return nil, err
	}
	if options.Servers, err = mailboxServers(config, shared.report); err != nil {
		return nil, err
	}
	if options.Databases, err = databaseOptions(config); err != nil {
		return nil, err
	}
	known, err := newDirectories(config.Directory, connect.Wait, shared.report)
	if err != nil {
		return nil, err
	}
	options.Directory, options.Verifier, options.Close = known.source, known.verifier, known.close
	tier, err := backend.New(ctx, options)
	if err != nil {
		known.close()
		return nil, fmt.Errorf("databases: %w", err)
	}
	return tier, nil
}

// upstream connects to mailbox servers. The relay sets keep-alives when it takes a connection over.
func upstream(config configs.Relay) proxy.Upstream {
	return proxy.Upstream{Dialer: setup.Dialer{
		Dialer: &net.Dialer{KeepAlive: -1}, ReceiveMemory: int(config.ServerBuffer),
	}}
}

// newMaster returns the credential that opens every mailbox, or nil if none is configured.
func newMaster(settings configs.Master) (*backend.Master, error) {
	if settings.User == "" {
		return nil, nil
	}
	password, err := configs.ReadPassword(settings.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("signin.master.password_file: %w", err)
	}
	return &backend.Master{User: settings.User, Password: secret.Value(password),
		Separator: withSeparator[settings.Form]}, nil
}

// hook makes a program or an HTTP server do what Portico cannot do itself.
type hook interface {
	backend.Hook
	Restart(ctx context.Context, server string, instance uint64) error
	Fence(ctx context.Context, node string) error
}

// newHook returns a hook as configured, or nil if none is.
func newHook(settings configs.Hook) (hook, error) {
	switch {
	case !settings.IsSet():
		return nil, nil
	case len(settings.Command) > 0:
		return &hooks.Command{Program: settings.Command, Timeout: settings.Timeout}, nil
	}
	made := &hooks.HTTP{URL: settings.URL, Timeout: settings.Timeout}
	var err error
	if made.TLS, err = trusting(settings.CA); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if settings.TokenFile != "" {
		token, err := configs.ReadToken(settings.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("token_file: %w", err)
		}
		made.Token = secret.Value(token)
	}
	return made, nil
}
