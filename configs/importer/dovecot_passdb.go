package importer

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"portico/configs"
)

// dovecotLink is what the fields of a passdb say about the connection to a mailbox server.
type dovecotLink struct {
	by     *directive
	fields map[string]string
}

// passdb takes over one password database: where users are, and how to connect there.
func (v *dovecot) passdb(x *directive) {
	v.take(x, "")
	v.overridden(x.block)
	driver := x.arg(0)
	if y := find(x.block, "driver"); y != nil {
		v.take(y, "")
		driver = y.arg(0)
	}
	if y := find(x.block, "passdb_driver"); y != nil {
		v.take(y, "")
		driver = y.arg(0)
	}
	if y := find(x.block, "master"); y != nil && y.arg(0) == "yes" {
		see(x.block)
		v.decide(x, "signin", "master users: in mode passthrough the mailbox servers verify them")
		return
	}
	if y := find(x.block, "deny"); y != nil && y.arg(0) == "yes" {
		see(x.block)
		v.decide(x, "directory", "users who are refused: put rules or a map file with refuse in front of the other "+
			"sources")
		return
	}
	fields := v.passdbFields(x)
	args := find(x.block, "args")
	switch driver {
	case "static":
		if args != nil {
			v.take(args, "")
			readFields(fields, strings.Fields(args.value()))
		}
		v.static(x, fields)
	case "passwd-file":
		v.passwdFile(x, args, fields)
	case "sql":
		v.sql(x, args, fields)
	case "ldap":
		v.ldap(x, args, fields)
	default:
		see(x.block)
		v.decide(x, "directory", "Portico has no such source: docs/directory.md lists those that it can ask")
		return
	}
	for _, y := range x.block {
		if !y.seen {
			v.withoutBlock(y, "the order of Portico's sources is that of the list")
		}
	}
	v.take(x, "")
	v.setLink(x, fields)
}

// passdbFields returns the fields that a passdb gives every user.
func (v *dovecot) passdbFields(x *directive) map[string]string {
	fields := map[string]string{}
	for _, y := range x.block {
		switch y.name() {
		case "default_fields", "override_fields", "fields", "passdb_fields":
			v.take(y, "")
			if len(y.block) == 0 {
				readFields(fields, strings.Fields(y.value()))
			}
			for _, z := range y.block { // Dovecot 2.4
				v.take(z, "")
				fields[strings.TrimSuffix(z.name(), ":default")] = z.value()
			}
		}
	}
	return fields
}

func readFields(fields map[string]string, words []string) {
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		fields[strings.ToLower(name)] = value
	}
}

// setLink keeps the fields of the first passdb that is a proxy's, for all mailbox servers.
func (v *dovecot) setLink(x *directive, fields map[string]string) {
	if v.link.by != nil {
		return
	}
	for _, name := range []string{"proxy", "proxy_maybe", "ssl", "starttls", "port", "master", "pass"} {
		if _, ok := fields[name]; ok {
			v.link = dovecotLink{x, fields}
			return
		}
	}
}

// static takes over a passdb that says the same for all users.
func (v *dovecot) static(x *directive, fields map[string]string) {
	host := fields["host"]
	switch {
	case fields["password"] != "":
		v.decide(x, "signin", "all users have one password. Portico lets the mailbox servers verify passwords")
	case strings.Contains(host, "%"):
		v.decide(x, "directory", "the server depends on the user's name: write rules (docs/directory.md), and list "+
			"each server in mailbox_servers")
		return
	}
	if host == "" {
		return // a director finds it
	}
	if s := v.linkedServer(x, host, fields); s != nil {
		v.places(x, []*server{s})
	}
}

// linkedServer takes over the server that fields name.
func (v *dovecot) linkedServer(x *directive, host string, fields map[string]string) *server {
	number, tls := "143", configs.TLSNone
	switch {
	case fields["starttls"] != "" && fields["starttls"] != "no":
		tls = configs.TLSStartTLS
	case fields["ssl"] != "" && fields["ssl"] != "no":
		number, tls = "993", configs.TLSImplicit
	}
	if ip := fields["hostip"]; ip != "" && !strings.Contains(ip, "%") {
		host = ip
	}
	host, number, err := hostPort(bracketed(host), orDefault(fields["port"], number))
	if err != nil {
		v.decide(x, "mailbox_servers", "%s", err)
		return nil
	}
	s := v.server(x, "", host, number, tls)
	if s.TLS == configs.TLSNone {
		v.open(x, s, "Dovecot sends passwords and mail to this server without TLS")
	}
	if fields["ssl"] == "any-cert" || fields["starttls"] == "any-cert" {
		v.unverified(x, s)
	}
	if fields["host"] != "" && fields["hostip"] != "" {
		s.ServerName = fields["host"]
	}
	return s
}

// bracketed puts brackets around an IPv6 address, so that a port can follow.
func bracketed(host string) string {
	if strings.Count(host, ":") > 1 && host[0] != '[' {
		return "[" + host + "]"
	}
	return host
}

// towards takes over what is for all mailbox servers, and the master's credential.
func (v *dovecot) towards() {
	ca := find(v.all, "ssl_client_ca_file")
	if ca != nil {
		file := absolute(v.source.base, strings.TrimPrefix(ca.arg(0), "<"))
		for _, address := range v.order {
			if s := v.hosts[address]; s.TLS != configs.TLSNone && !s.InsecureSkipVerify {
				s.CA = file
				v.take(ca, s.key("ca"))
			}
		}
	}
	if x := find(v.all, "ssl_client_ca_dir"); x != nil {
		v.decide(x, "mailbox_servers", "ca is one file: join the certificates of the folder, or use the system's")
	}
	if x := find(v.all, "ssl_client_require_valid_cert"); x != nil && x.arg(0) == "no" {
		for _, address := range v.order {
			v.unverified(x, v.hosts[address])
		}
	}
	if x := find(v.all, "login_source_ips"); x != nil {
		addresses := strings.FieldsFunc(x.value(), func(r rune) bool { return r == ' ' || r == ',' })
		if !slices.ContainsFunc(addresses, notIP) {
			for _, address := range v.order {
				v.hosts[address].SourceAddresses = addresses
				v.take(x, v.hosts[address].key("source_addresses"))
			}
		}
	}
	v.fieldsLeft()
	v.master()
}

func notIP(text string) bool {
	_, err := netip.ParseAddr(text)
	return err != nil
}

// fieldsLeft records the fields of the proxy that Portico does not have.
func (v *dovecot) fieldsLeft() {
	x, fields := v.link.by, v.link.fields
	if x == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch name {
		case "proxy", "proxy_maybe", "host", "hostip", "port", "ssl", "starttls", "nopassword", "pass", "master",
			"user", "nodelay", "proxy_mech", "proxy_always", "password", "destuser", "username":
		case "proxy_timeout":
			value, err := duration(fields[name], 1e9)
			v.setDuration(x, "timeouts.server_signin", &v.config.Timeouts.ServerSignin, value, err)
		case "allow_nets":
			v.decide(x, "directory", "allow_nets: Portico does not restrict users to networks")
		default:
			v.comment("", "%s: %s: no counterpart: field %s", x.place(), x.text(), comment(name))
			v.counts.without++
		}
	}
	if _, ok := fields["proxy_maybe"]; ok {
		v.decide(x, "mailbox_servers", "proxy_maybe: some users' mail is on this machine. Portico is a proxy only: "+
			"make this Dovecot a mailbox server with another port")
	}
	if strings.Contains(fields["destuser"], "%") && fields["destuser"] != "%u" {
		v.decide(x, "directory", "destuser: a rule can give users another name at the mailbox server")
	}
}

// master takes over the credential that opens every mailbox.
func (v *dovecot) master() {
	fields := v.link.fields
	pass, user := fields["pass"], fields["master"]
	if pass == "" || strings.Contains(pass, "%") || user == "" {
		if pass != "" && !strings.Contains(pass, "%") {
			v.decide(v.link.by, "signin", "one password for all users at the mailbox servers: Portico needs a master "+
				"user there (signin.master)")
		}
		return
	}
	c := &v.config.Signin
	c.Master = configs.Master{User: user, PasswordFile: v.file(v.link.by, "master.secret", pass+"\n", true),
		Form: configs.MasterAuthzid}
	v.take(v.link.by, "signin.master")
	if len(v.config.Directory.Verify) == 0 {
		v.decide(v.link.by, "signin", "Dovecot signs in with a master user. Portico does so in mode master, and then "+
			"must verify users itself: add directory.verify, and set mode (docs/signin.md)")
		return
	}
	c.Mode = configs.SigninMaster
}
