package configs

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

func (v *validator) directory() {
	for i, source := range v.c.Directory.Sources {
		path := item("directory.sources", i)
		v.oneOf(path, map[string]bool{
			"rules": len(source.Rules) > 0, "file": source.File != "", "http": len(source.HTTP.URLs) > 0,
			"sql": source.SQL.given(), "ldap": source.LDAP.given(),
		})
		v.readable(join(path, "file"), source.File)
		for j, rule := range source.Rules {
			v.rule(item(join(path, "rules"), j), rule)
		}
		v.httpDirectory(join(path, "http"), source.HTTP)
		v.sqlDirectory(join(path, "sql"), source.SQL)
		v.ldapDirectory(join(path, "ldap"), source.LDAP)
		if source.LDAP.given() && source.LDAP.Filter == "" {
			v.fail(join(path, "ldap"), "needs a filter that finds the user")
		}
	}
	for i, verifier := range v.c.Directory.Verify {
		path := item("directory.verify", i)
		v.oneOf(path, map[string]bool{
			"file": verifier.File != "", "http": len(verifier.HTTP.URLs) > 0, "sql": verifier.SQL.given(),
			"ldap": verifier.LDAP.given(),
		})
		v.readable(join(path, "file"), verifier.File)
		v.secret(join(path, "file"), verifier.File)
		v.httpDirectory(join(path, "http"), verifier.HTTP)
		v.sqlDirectory(join(path, "sql"), verifier.SQL)
		v.ldapDirectory(join(path, "ldap"), verifier.LDAP)
	}
}

// oneOf requires exactly one of the keys below path.
func (v *validator) oneOf(path string, given map[string]bool) {
	count := 0
	for key, there := range given {
		if there || v.unread(join(path, key)) {
			count++
		}
	}
	if count != 1 {
		v.fail(path, "needs exactly one of %s", strings.Join(slices.Sorted(maps.Keys(given)), ", "))
	}
}

// readable requires that the file, if one is named, can be read.
func (v *validator) readable(path, file string) {
	if file == "" {
		return
	}
	if _, err := readFile(file); err != nil {
		v.failKey(path, "%s", err)
	}
}

func (v *validator) rule(path string, rule DirectoryRule) {
	switch {
	case (rule.Match == "") == (rule.Regexp == ""):
		v.fail(path, "needs exactly one of match and regexp")
	case rule.User+rule.Database+rule.Server+rule.Mode+rule.Refuse == "":
		v.fail(path, "has no effect: needs a user, database, server, mode or refuse")
	case rule.Database != "" && rule.Server != "":
		v.failKey(join(path, "server"), "is given together with database: give one of the two")
	case rule.Refuse != "" && rule.User+rule.Database+rule.Server+rule.Mode != "":
		v.failKey(join(path, "refuse"), "is given together with keys for users who may sign in")
	}
	if !slices.Contains([]string{"", string(SigninPassthrough), string(SigninMaster)}, rule.Mode) {
		v.fail(join(path, "mode"), "must be %s or %s, not %q", SigninPassthrough, SigninMaster, rule.Mode)
	}
	if _, err := regexp.Compile(rule.Regexp); err != nil {
		v.fail(join(path, "regexp"), "%s", err)
	}
	if rule.Server != "" {
		v.serverThere(join(path, "server"), rule.Server)
	}
	if _, ok := v.c.Databases[rule.Database]; rule.Database != "" && !ok && !v.unread("databases") {
		v.missing(join(path, "database"), "database", rule.Database, slices.Collect(maps.Keys(v.c.Databases)))
	}
}

func (v *validator) httpDirectory(path string, of HTTPDirectory) {
	for i, text := range of.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			v.fail(item(join(path, "urls"), i), "must be an http or https URL, not %q", text)
		case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")):
			v.warn(item(join(path, "urls"), i),
				"lookups travel unencrypted, and passwords too if send_password is on")
		}
	}
	if (of.SecretHeader == "") != (of.SecretFile == "") {
		v.fail(path, "needs both secret_header and secret_file, or neither")
	}
	if of.SecretFile != "" {
		if _, err := ReadToken(of.SecretFile); err != nil {
			v.failKey(join(path, "secret_file"), "%s", err)
		} else {
			v.secret(join(path, "secret_file"), of.SecretFile)
		}
	}
	v.authorities(join(path, "ca"), of.CA)
}

// authorities requires that the file, if one is named, holds certificates.
func (v *validator) authorities(path, file string) {
	if file == "" {
		return
	}
	if _, err := readCertificates(file); err != nil {
		v.failKey(path, "%s", err)
	}
}

// password requires that the file, if one is named, holds a password.
func (v *validator) password(path, file string) {
	if file == "" {
		return
	}
	if _, err := ReadPassword(file); err != nil {
		v.failKey(path, "%s", err)
		return
	}
	v.secret(path, file)
}

func (of SQLDirectory) given() bool { return of.DSNFile != "" || of.Query != "" }

func (v *validator) sqlDirectory(path string, of SQLDirectory) {
	if !of.given() {
		return
	}
	if of.DSNFile == "" || of.Query == "" {
		v.fail(path, "needs both dsn_file and query")
	}
	v.password(join(path, "dsn_file"), of.DSNFile)
	dsn, _ := ReadPassword(of.DSNFile)
	for _, open := range []string{"sslmode=disable", "sslmode=allow", "sslmode=prefer", "sslmode=require", "tls=false",
		"tls=preferred", "tls=skip-verify"} {
		if strings.Contains(dsn, open) && !strings.Contains(dsn, "127.0.0.1") && !strings.Contains(dsn, "localhost") {
			v.warn(join(path, "dsn_file"), "%s: anybody on the network path can impersonate the database", open)
		}
	}
}

func (of LDAPDirectory) given() bool { return len(of.URLs) > 0 || of.Filter != "" || of.UserDN != "" }

func (v *validator) ldapDirectory(path string, of LDAPDirectory) {
	if !of.given() {
		return
	}
	if len(of.URLs) == 0 {
		v.fail(path, "needs urls")
	}
	for i, text := range of.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "ldap" && u.Scheme != "ldaps":
			v.fail(item(join(path, "urls"), i), "must be an ldap or ldaps URL, not %q", text)
		case u.Scheme == "ldap" && !of.StartTLS && !loopback(net.JoinHostPort(u.Hostname(), "389")):
			v.warn(item(join(path, "urls"), i), "passwords travel unencrypted: turn starttls on, or use ldaps")
		}
	}
	switch {
	case of.Filter != "" && of.Base == "":
		v.fail(join(path, "base"), "is missing: a filter needs a base to search")
	case of.Filter == "" && of.UserDN == "":
		v.fail(path, "needs a filter or a user_dn")
	}
	if (of.BindDN == "") != (of.BindPasswordFile == "") {
		v.fail(path, "needs both bind_dn and bind_password_file, or neither")
	}
	v.password(join(path, "bind_password_file"), of.BindPasswordFile)
	v.authorities(join(path, "ca"), of.CA)
}
