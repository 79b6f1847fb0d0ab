package node

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"portico/backend"
	"portico/backend/directory"
	"portico/backend/directory/httpdir"
	"portico/backend/directory/ldapdir"
	"portico/backend/directory/sqldir"
	"portico/backend/secret"
	"portico/configs"
)

// directories find users' mailboxes (source) and check passwords (verifier). Each is nil if none is configured.
type directories struct {
	source   directory.Source
	verifier directory.Verifier

	config configs.Directory
	wait   directory.Wait
	bound  *directory.Bound    // limits the requests to verifiers
	report func(string, error) // called for errors that occur later
	closes []func()
	others atomic.Int64 // when an entry for another name was last reported, in seconds
}

// newDirectories builds them. Sign-ins wait by wait. report is called for files that change and cannot be used.
func newDirectories(config configs.Directory, wait directory.Wait,
	report func(what string, err error)) (*directories, error) {
	d := &directories{config: config, wait: wait, report: report}
	d.bound = d.newBound()
	err := d.build()
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// close ends all connections.
func (d *directories) close() {
	for _, end := range d.closes {
		end()
	}
}

func (d *directories) build() error {
	chain := &directory.Chain{
		Canonical: func(name string) (string, error) { return backend.Canonical(name, "") },
	}
	for i, settings := range d.config.Sources {
		source, err := d.newSource(settings)
		if err != nil {
			return fmt.Errorf("directory.sources[%d]: %w", i, err)
		}
		chain.Sources = append(chain.Sources, source)
	}
	if len(chain.Sources) > 0 {
		d.source = chain
	}
	var verifiers directory.Verifiers
	for i, settings := range d.config.Verify {
		verifier, err := d.newVerifier(settings)
		if err != nil {
			return fmt.Errorf("directory.verify[%d]: %w", i, err)
		}
		verifiers = append(verifiers, d.bound.Verifier(verifier))
	}
	if len(verifiers) > 0 {
		d.verifier = verifiers
	}
	return nil
}

func (d *directories) newSource(settings configs.DirectorySource) (directory.Source, error) {
	switch {
	case settings.File != "":
		return directory.OpenFile(d.file(settings.File))
	case len(settings.HTTP.URLs) > 0:
		asked, err := d.newHTTP(settings.HTTP)
		if err != nil {
			return nil, err
		}
		if settings.HTTP.SendPassword { // it checks the password too
			return d.newBound().Source(asked), nil
		}
		return d.remembered(asked)
	case settings.SQL.DSNFile != "":
		asked, err := d.newSQL(settings.SQL)
		if err != nil {
			return nil, err
		}
		return d.remembered(asked)
	case len(settings.LDAP.URLs) > 0:
		asked, err := d.newLDAP(settings.LDAP)
		if err != nil {
			return nil, err
		}
		return d.remembered(asked)
	}
	rules := make([]directory.Rule, len(settings.Rules))
	for i, r := range settings.Rules {
		rules[i] = directory.Rule(r)
	}
	return directory.NewRules(rules)
}

func (d *directories) file(path string) directory.FileOptions {
	return directory.FileOptions{Path: path, Now: time.Now, Report: d.fileFailed, Wait: d.wait}
}

func (d *directories) fileFailed(err error) {
	d.report("directory: cannot read a changed file; the previous version stays in use", err)
}

// foundOther reports an entry that was found for another name than was asked for.
func (d *directories) foundOther(err error) {
	now, last := time.Now().Unix(), d.others.Load()
	if now-last >= 60 && d.others.CompareAndSwap(last, now) {
		d.report("directory: entry belongs to another name, ignored (logged once a minute)", err)
	}
}

// remembered returns a source that asks another machine: with a limit of requests, and a cache of the answers.
func (d *directories) remembered(asked directory.Source) (directory.Source, error) {
	cache := d.config.Cache
	return directory.NewCache(d.newBound().Source(asked), directory.CacheOptions{Positive: cache.Positive,
		Negative: cache.Negative, Size: cache.Size, Now: time.Now, Wait: d.wait})
}

func (d *directories) newBound() *directory.Bound {
	return directory.NewBound(d.config.InFlight, d.config.Timeout, d.wait)
}

func (d *directories) newVerifier(settings configs.Verifier) (directory.Verifier, error) {
	switch {
	case len(settings.HTTP.URLs) > 0:
		return d.newHTTP(settings.HTTP)
	case settings.SQL.DSNFile != "":
		return d.newSQL(settings.SQL)
	case len(settings.LDAP.URLs) > 0:
		return d.newLDAP(settings.LDAP)
	}
	return directory.OpenPasswd(d.file(settings.File))
}

func (d *directories) newHTTP(settings configs.HTTPDirectory) (*httpdir.Directory, error) {
	config, err := trusting(settings.CA)
	if err != nil {
		return nil, fmt.Errorf("http.ca: %w", err)
	}
	options := httpdir.Options{URLs: settings.URLs, SendPassword: settings.SendPassword, InFlight: d.config.InFlight,
		TLS: config, Header: make(http.Header)}
	if settings.SecretFile != "" {
		secret, err := configs.ReadToken(settings.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("http.secret_file: %w", err)
		}
		options.Header.Set(settings.SecretHeader, secret)
	}
	made, err := httpdir.New(options)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	d.closes = append(d.closes, made.Close)
	return made, nil
}

func (d *directories) newSQL(settings configs.SQLDirectory) (*sqldir.Directory, error) {
	dsn, err := configs.ReadPassword(settings.DSNFile)
	if err != nil {
		return nil, fmt.Errorf("sql.dsn_file: %w", err)
	}
	made, err := sqldir.New(sqldir.Options{Driver: sqlDrivers[settings.Driver], DSN: secret.Value(dsn),
		Query: settings.Query, InFlight: d.config.InFlight, Report: d.foundOther})
	if err != nil {
		return nil, fmt.Errorf("sql: %w", err)
	}
	if err := made.CheckNames(); err != nil && d.report != nil {
		d.report("directory: an SQL query does not return whose row it is, so no user is found", err)
	}
	d.closes = append(d.closes, made.Close)
	return made, nil
}

func (d *directories) newLDAP(settings configs.LDAPDirectory) (*ldapdir.Directory, error) {
	config, err := trusting(settings.CA)
	if err != nil {
		return nil, fmt.Errorf("ldap.ca: %w", err)
	}
	options := ldapdir.Options{
		URLs: settings.URLs, StartTLS: settings.StartTLS, TLS: config, BindDN: settings.BindDN, Base: settings.Base,
		Scope: scopes[settings.Scope], Filter: settings.Filter, UserDN: settings.UserDN,
		Attributes: make(map[string]string), Timeout: d.config.Timeout, Report: d.foundOther,
	}
	for key, attribute := range map[string]string{
		"user":            settings.Attributes.User,
		"database":        settings.Attributes.Database,
		"server":          settings.Attributes.Server,
		"mode":            settings.Attributes.Mode,
		"max_connections": settings.Attributes.MaxConnections,
		"refuse":          settings.Attributes.Refuse,
	} {
		if attribute != "" {
			options.Attributes[key] = attribute
		}
	}
	if settings.BindPasswordFile != "" {
		password, err := configs.ReadPassword(settings.BindPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("ldap.bind_password_file: %w", err)
		}
		options.BindPassword = secret.Value(password)
	}
	made, err := ldapdir.New(options)
	if err != nil {
		return nil, fmt.Errorf("ldap: %w", err)
	}
	d.closes = append(d.closes, made.Close)
	return made, nil
}

// trusting returns a client's configuration that trusts the authorities of a file, or the system's.
func trusting(ca string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return config, nil
	}
	roots, err := configs.ReadCA(ca)
	config.RootCAs = roots
	return config, err
}
