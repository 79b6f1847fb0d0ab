package node

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"portico/configs"
	"portico/health/admin"
)

// adminAccess returns who may use HTTP.
func adminAccess(config configs.Admin) (access admin.Access, err error) {
	access = admin.Access{AllowedHosts: config.AllowedHosts, SocketGroup: rights[config.SocketGroupMay],
		KnownOnly: config.ReadTokenFile != "" || config.TokensFile != ""}
	if config.TLS.Cert != "" {
		cert, err := tls.LoadX509KeyPair(config.TLS.Cert, config.TLS.Key)
		if err != nil {
			return access, fmt.Errorf("admin.tls: %w", err)
		}
		access.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	if config.ClientCA != "" && access.TLS != nil {
		if access.TLS.ClientCAs, err = configs.ReadCA(config.ClientCA); err != nil {
			return access, fmt.Errorf("admin.client_ca: %w", err)
		}
		access.TLS.ClientAuth = tls.VerifyClientCertIfGiven
		access.Certificates = make(map[string]admin.Right)
		for name, right := range config.ClientRights {
			access.Certificates[name] = rights[right]
		}
	}
	access.Tokens, err = adminTokens(config)
	return access, err
}

// adminTokens returns the tokens of all files. Each is in one of them only: otherwise its right would be in doubt.
func adminTokens(config configs.Admin) (all []admin.Token, err error) {
	for _, of := range []struct {
		key, file string
		may       admin.Right
	}{
		{"admin.token_file", config.TokenFile, admin.MayChange},
		{"admin.read_token_file", config.ReadTokenFile, admin.MayRead},
	} {
		if of.file == "" {
			continue
		}
		token, err := configs.ReadToken(of.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", of.key, err)
		}
		all = append(all, admin.Token{Name: filepath.Base(of.file), Hash: configs.HashToken(token), May: of.may})
	}
	if config.TokensFile != "" {
		tokens, err := configs.ReadTokens(config.TokensFile)
		if err != nil {
			return nil, fmt.Errorf("admin.tokens_file: %w", err)
		}
		for _, t := range tokens {
			all = append(all, admin.Token{Name: t.Name, Hash: t.Hash, May: rights[t.Right], Expires: t.Expires})
		}
	}
	for i, token := range all {
		for _, other := range all[:i] {
			if token.Hash == other.Hash {
				return nil, fmt.Errorf("admin: %s and %s are the same token: give it in one file only", other.Name,
					token.Name)
			}
		}
	}
	return all, nil
}
