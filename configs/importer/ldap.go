package importer

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"portico/configs"
)

var ldapVersion = regexp.MustCompile(`^\d:`)

// ldapMap takes over perdition's map in an LDAP server: [VERSION:]URL, with the attributes of user, server and port.
func (p *perdition) ldapMap(x *directive) {
	text := "ldap://localhost/ou=mailbox,dc=nodomain?username,mailhost,port?one?(uid=%s)"
	at := x
	if x == nil {
		at = p.options["map_library"]
	} else {
		text = ldapVersion.ReplaceAllString(x.arg(0), "")
	}
	head, rest, _ := strings.Cut(text, "?")
	scheme, head, found := strings.Cut(head, "://")
	hosts, base, _ := strings.Cut(head, "/")
	parts := append(strings.Split(rest, "?"), "", "", "")
	attributes := append(strings.Split(parts[0], ","), "", "")
	filter := strings.ReplaceAll(parts[2], "%s", "{user}")
	if !found || scheme != "ldap" && scheme != "ldaps" || !strings.Contains(filter, "{user}") {
		p.decide(at, "directory", "no URL of LDAP with a filter that Portico can use: write a source of ldap")
		return
	}
	source := configs.LDAPDirectory{Base: unescape(base), Filter: filter,
		Scope:      ldapScopes[orDefault(parts[1], "base")],
		Attributes: configs.LDAPAttributes{User: attributes[0], Server: attributes[1]}}
	for _, host := range strings.Fields(unescape(hosts)) {
		source.URLs = append(source.URLs, scheme+"://"+host)
	}
	for _, extension := range strings.Split(parts[3], ",") {
		name, value, _ := strings.Cut(strings.TrimPrefix(extension, "!"), "=")
		switch strings.ToLower(name) {
		case "bindname":
			source.BindDN = unescape(value)
		case "x-bindpw":
			source.BindPasswordFile = p.file(at, "ldap.secret", unescape(value)+"\n", true)
		}
	}
	source, ok := p.usableLDAP(at, source)
	if !ok {
		return
	}
	p.ldapSource(at, source)
	p.decide(at, "directory", "each %s must be the name of one of mailbox_servers. The attribute of a port is not "+
		"taken over", source.Attributes.Server)
}

var ldapScopes = map[string]configs.Scope{"base": configs.ScopeBase, "one": configs.ScopeOne,
	"onelevel": configs.ScopeOne, "sub": configs.ScopeSub, "subtree": configs.ScopeSub}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// usableLDAP returns a source with what Portico can use of it. It returns false if that is too little. Passwords to
// another machine need TLS.
func (d *draft) usableLDAP(x *directive, source configs.LDAPDirectory) (configs.LDAPDirectory, bool) {
	if source.BindDN != "" && source.BindPasswordFile == "" || source.BindDN == "" && source.BindPasswordFile != "" {
		d.decide(x, "directory", "a bind needs a name and a password: give bind_dn and bind_password_file")
		source.BindDN, source.BindPasswordFile = "", ""
	}
	var addresses []string
	for _, text := range source.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" || variable.MatchString(text) {
			d.decide(x, "directory", "Portico asks LDAP servers at addresses of TCP, by ldap or ldaps: give urls")
			continue
		}
		if u.User != nil {
			d.decide(x, "directory", "without the name and password in the URL: give bind_dn and bind_password_file")
		}
		if u.Scheme == "ldap" && !source.StartTLS && !loopback(u.Hostname()) {
			source.StartTLS = true
			d.decide(x, "directory", "the source asks LDAP without TLS. Portico uses StartTLS: give ca, or set "+
				"starttls to false if anybody on the network path may read and change the answers")
		}
		addresses = append(addresses, (&url.URL{Scheme: u.Scheme, Host: u.Host}).String())
	}
	if source.URLs = addresses; len(addresses) == 0 || source.Base == "" || strings.Contains(source.Base, "%") {
		d.decide(x, "directory", "without an address and a base, without variables, Portico cannot ask LDAP: write a "+
			"source of ldap (docs/directory.md)")
		return source, false
	}
	return source, true
}

// ldapSource adds a source to the directory, and returns its key.
func (d *draft) ldapSource(x *directive, source configs.LDAPDirectory) (key string) {
	d.config.Directory.Sources = append(d.config.Directory.Sources, configs.DirectorySource{LDAP: source})
	d.take(x, "")
	return fmt.Sprintf("directory.sources[%d].ldap", len(d.config.Directory.Sources)-1)
}
