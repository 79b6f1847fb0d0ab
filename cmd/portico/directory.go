package main

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"portico/backend"
	"portico/backend/directory"
	"portico/backend/directory/httpdir"
	"portico/configs"
)

// newDirectory builds what knows where users' mailboxes are; nil without sources. report is told of map files that
// change and can not be taken.
func newDirectory(config configs.Directory, report func(error)) (directory.Source, error) {
	if len(config.Sources) == 0 {
		return nil, nil
	}
	chain := &directory.Chain{
		Canonical: func(name string) (string, error) { return backend.Canonical(name, "") },
	}
	for i, of := range config.Sources {
		source, err := newSource(config, of, report)
		if err != nil {
			return nil, fmt.Errorf("directory.sources[%d]: %w", i, err)
		}
		chain.Sources = append(chain.Sources, source)
	}
	return chain, nil
}

func newSource(config configs.Directory, of configs.DirectorySource, report func(error)) (directory.Source, error) {
	switch {
	case of.File != "":
		return directory.OpenFile(directory.FileOptions{Path: of.File, Report: report})
	case len(of.HTTP.URLs) > 0:
		return newHTTPSource(config, of.HTTP)
	}
	rules := make([]directory.Rule, len(of.Rules))
	for i, r := range of.Rules {
		rules[i] = directory.Rule(r)
	}
	return directory.NewRules(rules)
}

// newHTTPSource builds a source that is not at hand: bounded, and what it says remembered, unless it judges passwords.
func newHTTPSource(config configs.Directory, of configs.HTTPDirectory) (directory.Source, error) {
	options := httpdir.Options{URLs: of.URLs, SendPassword: of.SendPassword, InFlight: config.InFlight,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Header: make(http.Header)}
	if of.CA != "" {
		roots, err := configs.ReadCA(of.CA)
		if err != nil {
			return nil, fmt.Errorf("http.ca: %w", err)
		}
		options.TLS.RootCAs = roots
	}
	if of.SecretFile != "" {
		secret, err := configs.ReadToken(of.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("http.secret_file: %w", err)
		}
		options.Header.Set(of.SecretHeader, secret)
	}
	asked, err := httpdir.New(options)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	bounded := directory.NewBound(config.InFlight, config.Timeout).Source(asked)
	if of.SendPassword {
		return bounded, nil
	}
	return directory.NewCache(bounded, directory.CacheOptions{
		Positive: config.Cache.Positive, Negative: config.Cache.Negative, Size: config.Cache.Size,
	}), nil
}

// directoryFailed tells of a change that was not taken. Sessions go on with what was known before.
func (s *service) directoryFailed(err error) {
	s.log.Error().Err(err).Msg("directory: a map file has changed and can not be taken; the old one stays in force")
}
