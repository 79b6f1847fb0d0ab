package configs

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"portico/configs/suggest"
)

func (v *validator) mailboxServers() {
	if len(v.c.MailboxServers) == 0 {
		v.failKey("mailbox_servers", "no mailbox server is given: users need a server that holds their mail")
	}
	for _, name := range slices.Sorted(maps.Keys(v.c.MailboxServers)) {
		path, server := join("mailbox_servers", name), v.c.MailboxServers[name]
		v.name(path, name)
		v.targets(path, server)
		if server.TLS == TLSNone && !allLoopback(server.Targets(v.c.Settings.ProxyTargetPort)) {
			v.warn(join(path, "tls"), "passwords and mail travel to this server unencrypted")
		}
		if server.InsecureSkipVerify {
			v.warn(join(path, "insecure_skip_verify"),
				"anybody on the network path can impersonate this server and read every password")
		}
		for i, source := range server.SourceAddresses {
			if _, err := netip.ParseAddr(source); err != nil {
				v.fail(item(join(path, "source_addresses"), i), "must be an IP address, not %q", source)
			}
		}
		if n := server.ServerName; n != "" && !hostName.MatchString(n) {
			v.fail(join(path, "server_name"), "must be a host name, not %q", n)
		}
	}
}

func (v *validator) targets(path string, server MailboxServer) {
	switch {
	case server.Address != "" && len(server.Addresses) > 0:
		v.failKey(join(path, "addresses"), "is given together with address: give one of the two")
	case len(server.Addresses) > 0:
		seen := make(map[string]bool)
		for i, address := range server.Addresses {
			at := item(join(path, "addresses"), i)
			if v.address(at, withPort(address, v.c.Settings.ProxyTargetPort), dialable) && seen[address] {
				v.fail(at, "%s is given twice", address)
			}
			seen[address] = true
		}
	case !v.unread(join(path, "addresses")):
		v.address(join(path, "address"), withPort(server.Address, v.c.Settings.ProxyTargetPort), dialable)
	}
}

func allLoopback(addresses []string) bool {
	return !slices.ContainsFunc(addresses, func(a string) bool { return !loopback(a) })
}

func (v *validator) databases() {
	names := v.c.DatabaseNames()
	if len(names) == 0 {
		v.failKey("databases", "no database is given: users need a database that holds their mail")
	}
	if len(names) > 1 && v.c.Routing == RoutingSingle && len(v.c.Directory.Sources) == 0 && !v.unread("routing") &&
		!v.unread("directory.sources") {
		v.fail(v.given("routing", "databases"),
			"routing single needs exactly one database, but there are %d (%s): list sources in directory.sources "+
				"that look users up, or set routing: hash, which spreads users over them",
			len(names), strings.Join(names, ", "))
	}
	for _, name := range names {
		path := join("databases", name)
		v.name(path, name)
		v.copies(join(path, "copies"), v.c.Databases[name].Copies)
		v.hook(join(path, "activate"), v.c.Databases[name].Activate)
	}
}

func (v *validator) hook(path string, of Hook) {
	if len(of.Command) > 0 && of.URL != "" {
		v.failKey(join(path, "url"), "is given together with command: give one of the two")
	}
	if of.URL != "" {
		u, err := url.Parse(of.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			v.fail(join(path, "url"), "must be an http or https URL, not %q", of.URL)
		case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")):
			v.warn(join(path, "url"), "anybody on the network path can impersonate the called server")
		}
	}
	if of.TokenFile != "" {
		if _, err := ReadToken(of.TokenFile); err != nil {
			v.failKey(join(path, "token_file"), "%s", err)
		} else {
			v.secret(join(path, "token_file"), of.TokenFile)
		}
	}
	v.authorities(join(path, "ca"), of.CA)
}

func (v *validator) copies(path string, copies []string) {
	if len(copies) == 0 {
		v.failKey(path, "no copy is given: name the mailbox servers that hold this database")
	}
	seen := make(map[string]bool)
	for i, name := range copies {
		if v.serverThere(item(path, i), name) && seen[name] {
			v.fail(item(path, i), "%s is given twice", name)
		}
		seen[name] = true
	}
}

// serverThere reports whether a mailbox server has that name. If not, it adds a problem.
func (v *validator) serverThere(path, name string) bool {
	_, ok := v.c.MailboxServers[name]
	if !ok && !v.unread("mailbox_servers") {
		v.missing(path, "mailbox server", name, slices.Collect(maps.Keys(v.c.MailboxServers)))
	}
	return ok
}

// missing reports an unknown name, and the most similar known one.
func (v *validator) missing(path, what, name string, known []string) {
	message := ""
	slices.Sort(known)
	if near := suggest.Nearest(name, known); near != "" {
		message = "; did you mean " + near + "?"
	}
	v.fail(path, "there is no %s %q%s", what, name, message)
}
