package importer

import (
	"net/netip"
	"slices"
	"strings"

	"portico/configs"
)

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
	p := v.passdbFields(x)
	args := find(x.block, "args")
	switch driver {
	case "static":
		v.static(x, args, p)
	case "passwd-file":
		v.passwdFile(x, args, p)
	case "sql":
		v.sql(x, args, p)
	case "ldap":
		v.ldap(x, args, p)
	default:
		see(x.block)
		v.decide(x, "directory", "Portico has no such source: docs/directory.md lists those that it can ask")
		return
	}
	for _, y := range x.block {
		switch {
		case y.seen:
		case slices.Contains([]string{"username_filter", "mechanisms", "skip"}, y.name()),
			strings.HasPrefix(y.name(), "result_"):
			v.decide(y, "directory", "the passdb is for some sign-ins only, or another one follows it. Portico asks "+
				"each source for each user, and the first that knows the user counts")
		default:
			v.withoutBlock(y, "the order of Portico's sources is that of the list")
		}
	}
}

// static takes over a passdb that says the same for all users.
func (v *dovecot) static(x, args *directive, p passdbFields) {
	own := fields{}
	if args != nil {
		v.take(args, "")
		own.read(args, strings.Fields(args.value()))
	}
	all := p.with(own)
	if v.common(p, own); all.get("host") == "" {
		return // a director finds it
	}
	if strings.Contains(all.get("host"), "%") {
		v.decide(all["host"].by, "directory", "the server depends on the user's name: write rules "+
			"(docs/directory.md), and list each server in mailbox_servers")
		return
	}
	if s := v.linkedServer(x, all.get("host"), all); s != nil {
		v.places(x, []*server{s})
	}
}

// linkedServer takes over the server that fields name.
func (v *dovecot) linkedServer(x *directive, host string, all fields) *server {
	number, tls := "143", configs.TLSNone
	switch {
	case all.on("starttls"):
		tls = configs.TLSStartTLS
	case all.on("ssl"):
		number, tls = "993", configs.TLSImplicit
	}
	if ip := all.get("hostip"); ip != "" && !strings.Contains(ip, "%") {
		host = ip
	}
	host, number, err := hostPort(bracketed(host), orDefault(all.get("port"), number))
	if err != nil {
		v.decide(x, "mailbox_servers", "%s", err)
		return nil
	}
	s := v.server(x, "", host, number, tls)
	switch {
	case tls == configs.TLSNone:
		v.open(x, s, "Dovecot sends passwords and mail to this server without TLS")
	case all.get("ssl") == "any-cert" || all.get("starttls") == "any-cert":
		v.encrypt(x, s, tls)
		v.unverified(x, s)
	default:
		v.encrypt(x, s, tls)
		v.validated(x, s)
	}
	if all.get("host") != "" && all.get("hostip") != "" {
		v.setServerName(x, s, all.get("host"))
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
	if ca := find(v.all, "ssl_client_ca_file"); ca != nil && ca.arg(0) != "" {
		if file, ok := v.filePath(ca, "mailbox_servers", strings.TrimPrefix(ca.arg(0), "<")); ok {
			for _, address := range v.order {
				if s := v.hosts[address]; s.TLS != configs.TLSNone {
					s.CA = file
					v.take(ca, s.key("ca"))
				}
			}
		}
	}
	if x := find(v.all, "ssl_client_ca_dir"); x != nil && x.arg(0) != "" {
		v.decide(x, "mailbox_servers", "ca is one file: join the certificates of the folder, or use the system's")
	}
	if x := find(v.all, "ssl_client_require_valid_cert"); x != nil && x.arg(0) == "no" {
		for _, address := range v.order {
			v.hosts[address].valid = nil // it is for all servers
			v.unverified(x, v.hosts[address])
		}
	}
	if x := find(v.all, "login_source_ips"); x != nil {
		for _, address := range v.order {
			v.setSources(x, v.hosts[address], listWords(x.value()))
		}
	}
	v.master()
}

// listWords splits a list at spaces and commas.
func listWords(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
}

func notIP(text string) bool {
	_, err := netip.ParseAddr(text)
	return err != nil
}

// master takes over the credential that opens every mailbox.
func (v *dovecot) master() {
	pass, user := v.link.get("pass"), v.link.get("master")
	by := v.link["pass"].by
	switch {
	case pass == "" || strings.Contains(pass, "%"):
		if user != "" {
			v.decide(v.link["master"].by, "signin", "a master user whose password is not in the source: give "+
				"signin.master (docs/signin.md)")
		}
		return
	case user == "" || strings.Contains(user, "%"):
		v.decide(by, "signin", "one password for all users at the mailbox servers: Portico needs a master user there "+
			"(signin.master)")
		return
	}
	c := &v.config.Signin
	c.Master = configs.Master{User: user, PasswordFile: v.file(by, "master.secret", pass+"\n", true),
		Form: configs.MasterAuthzid}
	v.take(by, "signin.master")
	if len(v.config.Directory.Verify) == 0 {
		v.decide(by, "signin", "Dovecot signs in with a master user. Portico does so in mode master, and then must "+
			"verify users itself: add directory.verify, and set mode (docs/signin.md)")
		return
	}
	c.Mode = configs.SigninMaster
}
