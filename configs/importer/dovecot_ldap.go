package importer

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"portico/configs"
)

// ldapNames are what Dovecot 2.3, in the file of a passdb, and 2.4 call the settings of LDAP.
var ldapNames = map[string]string{"uris": "uris", "hosts": "hosts", "dn": "dn", "dnpass": "dnpass", "base": "base",
	"scope": "scope", "pass_filter": "filter", "pass_attrs": "attrs", "tls": "starttls", "tls_ca_cert_file": "ca",
	"auth_bind": "bind", "tls_require_cert": "verify", "auth_bind_userdn": "userdn",
	"ldap_uris": "uris", "ldap_auth_dn": "dn", "ldap_auth_dn_password": "dnpass", "ldap_base": "base",
	"ldap_scope": "scope", "passdb_ldap_filter": "filter", "filter": "filter", "ldap_filter": "filter",
	"ldap_starttls": "starttls", "ssl_client_ca_file": "ca", "passdb_ldap_bind": "bind",
	"passdb_ldap_bind_userdn": "userdn"}

// ldap takes over a passdb that asks an LDAP server.
func (v *dovecot) ldap(x, args *directive, p passdbFields) {
	block := append(append([]*directive{}, v.tree...), x.block...)
	if args != nil { // Dovecot 2.3
		if block = v.argsFile(x, args); block == nil {
			return
		}
	}
	set := map[string]*directive{}
	for _, y := range block {
		if name := ldapNames[y.name()]; name != "" && len(y.block) == 0 {
			set[name] = y
		}
	}
	text := func(name string) string {
		if y := set[name]; y != nil {
			v.take(y, "")
			return y.value()
		}
		return ""
	}
	source := configs.LDAPDirectory{BindDN: text("dn"), Base: text("base"), Scope: ldapScopes[text("scope")],
		StartTLS: text("starttls") == "yes", URLs: strings.Fields(text("uris"))}
	for _, host := range strings.Fields(text("hosts")) {
		source.URLs = append(source.URLs, "ldap://"+host)
	}
	if file := strings.TrimPrefix(text("ca"), "<"); file != "" {
		source.CA, _ = v.filePath(set["ca"], "directory", file)
	}
	filter, ok := ldapFilter(text("filter"))
	if !ok || source.Base == "" || len(source.URLs) == 0 {
		v.decide(x, "directory", "the filter, base or addresses of LDAP cannot be used: write a source of ldap "+
			"(docs/directory.md)")
		return
	}
	source.Filter = filter
	if secret := text("dnpass"); secret != "" {
		source.BindPasswordFile = v.file(set["dnpass"], "ldap.secret", secret+"\n", true)
	}
	if y := set["verify"]; y != nil && y.arg(0) != "demand" && y.arg(0) != "hard" {
		v.decide(y, "directory", "Dovecot does not verify the LDAP server's certificate, and Portico does: give ca")
	}
	own := v.ldapFields(set["attrs"], &source, p)
	v.common(p, own)
	if source, ok = v.usableLDAP(x, source); ok {
		v.ldapSources(x, set, source, p.with(own))
	}
	if args != nil {
		v.explainAll(block, "it is not for the question where a user is")
	}
}

// ldapSources adds the source, and in mode master the verifier.
func (v *dovecot) ldapSources(x *directive, set map[string]*directive, source configs.LDAPDirectory, all fields) {
	bind := set["bind"] != nil && set["bind"].arg(0) == "yes"
	if set["bind"] != nil {
		v.take(set["bind"], "")
	}
	if set["userdn"] != nil {
		v.decide(set["userdn"], "directory", "for directory.verify it is user_dn, with {user} and {local}")
	}
	if all.get("master") != "" && bind {
		verifier := source
		verifier.Attributes = configs.LDAPAttributes{User: source.Attributes.User}
		v.config.Directory.Verify = append(v.config.Directory.Verify, configs.Verifier{LDAP: verifier})
	}
	host := all["host"]
	switch {
	case source.Attributes.Server != "":
		v.take(x, v.ldapSource(x, source))
		v.decide(x, "mailbox_servers", "each %s that LDAP finds must be the name of a server here. List all, or give "+
			"--server ADDRESS for each", source.Attributes.Server)
		v.otherwise(host)
		v.linkServers(x, all)
	case host.value != "" && !strings.Contains(host.value, "%"):
		if s := v.linkedServer(x, host.value, all); s != nil {
			v.places(x, []*server{s})
		}
	case host.value != "":
		v.decide(x, "directory", "the server depends on more than one attribute: write a source of ldap")
	}
}

// ldapFields reads pass_attrs (ATTRIBUTE=FIELD, =FIELD=%{ldap:ATTRIBUTE}, =FIELD=TEXT) and the fields of Dovecot 2.4.
// It returns those that are the same for all users.
func (v *dovecot) ldapFields(attrs *directive, source *configs.LDAPDirectory, p passdbFields) fields {
	own, from := fields{}, fields{} // from: the attributes of fields
	if attrs != nil {
		v.take(attrs, "")
		for _, item := range strings.Split(attrs.value(), ",") {
			attribute, name, _ := strings.Cut(strings.TrimSpace(item), "=")
			if attribute != "" {
				from[strings.ToLower(orDefault(name, attribute))] = field{attribute, attrs}
				continue
			}
			name, value, _ := strings.Cut(name, "=")
			if name != "" {
				own[strings.ToLower(name)] = field{value, attrs}
			}
		}
	}
	for _, some := range []fields{p.byDefault, own, p.override} {
		for name, f := range some {
			if m := ldapAttribute.FindStringSubmatch(f.value); m != nil {
				from[name] = field{m[1], f.by}
				delete(some, name)
			}
		}
	}
	if _, always := p.override["host"]; !always {
		source.Attributes.Server = from.get("host")
	}
	source.Attributes.User = orDefault(from.get("destuser"), orDefault(from.get("user"), from.get("username")))
	v.columns(from)
	return own
}

// columns records the fields that a database has for each user by itself, and that Portico does not read.
func (v *dovecot) columns(from fields) {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		f := from[name]
		switch name {
		case "host", "destuser", "user", "username", "password", "nopassword":
			continue
		}
		kind, why := fateOf(name, "%")
		if kind == "" {
			kind, why = noteDecide, "Portico has one value for a mailbox server, and not for each user"
		}
		v.leftField(f.by, kind, name, "without "+f.value+": "+why)
	}
}

// otherwise is for a server that users have if the database has none for them.
func (v *dovecot) otherwise(host field) {
	if host.value != "" {
		v.decide(host.by, "directory", "users whose entry names no server go to %.60q: give them a server in the "+
			"database, or rules behind this source", host.value)
	}
}

var (
	ldapAttribute = regexp.MustCompile(`^%\{\s*ldap:\s*([\w-]+)\s*\}$`)
	ldapVariables = []struct {
		pattern *regexp.Regexp
		field   string
	}{
		{regexp.MustCompile(`%L?u|%\{\s*user\s*(?:\|\s*lower\s*)?\}`), "{user}"},
		{regexp.MustCompile(`%L?n|%\{\s*(?:username|user\s*\|\s*username)\s*(?:\|\s*lower\s*)?\}`), "{local}"},
		{regexp.MustCompile(`%L?d|%\{\s*(?:domain|user\s*\|\s*domain)\s*(?:\|\s*lower\s*)?\}`), "{domain}"},
	}
)

// ldapFilter replaces Dovecot's variables by Portico's. It fails if one is left, or none is there.
func ldapFilter(text string) (string, bool) {
	for _, v := range ldapVariables {
		text = v.pattern.ReplaceAllString(text, v.field)
	}
	left := ownParameter.ReplaceAllString(text, "")
	return text, left != text && !anyVariable.MatchString(left) && !strings.ContainsAny(left, "{}")
}
