package importer

import (
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

// ldapSource adds a source to the directory. Passwords to another machine need TLS.
func (d *draft) ldapSource(x *directive, source configs.LDAPDirectory) {
	if source.BindDN != "" && source.BindPasswordFile == "" || source.BindDN == "" && source.BindPasswordFile != "" {
		d.decide(x, "directory", "a bind needs a name and a password: give bind_dn and bind_password_file")
		source.BindDN, source.BindPasswordFile = "", ""
	}
	for i, text := range source.URLs {
		u, err := url.Parse(text)
		if err == nil && u.User != nil {
			u.User = nil
			source.URLs[i] = u.String()
			d.decide(x, "directory", "without the name and password in the URL: give bind_dn and bind_password_file")
		}
		if err == nil && u.Scheme == "ldap" && !source.StartTLS && !loopback(u.Hostname()) {
			source.StartTLS = true
			d.decide(x, "directory", "the source asks LDAP without TLS. Portico uses StartTLS: give ca, or set "+
				"starttls to false if anybody on the network path may read and change the answers")
			break
		}
	}
	d.config.Directory.Sources = append(d.config.Directory.Sources, configs.DirectorySource{LDAP: source})
	d.take(x, "")
}
