package importer

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"portico/configs"
)

// server is a mailbox server of the source.
type server struct {
	configs.MailboxServer

	name    string
	backup  bool // used only if no other answers
	offered bool // by the command line: the source does not name it
	checked bool // somebody has to look at its certificate
	security
}

// server takes over a mailbox server. It gets the name that it has in the source, or that of its host. A second server
// of the same address is the same server.
func (d *draft) server(x *directive, name, host, port string, tls configs.TLSMode) *server {
	address := net.JoinHostPort(host, port)
	if s := d.hosts[address]; s != nil {
		d.take(x, "")
		return s
	}
	if other := map[string]string{"143": "993", "993": "143"}[port]; other != "" {
		if s := d.hosts[net.JoinHostPort(host, other)]; s != nil && s.TLS != configs.TLSNone && tls != configs.TLSNone {
			return d.twoPorts(x, s, address, port, tls)
		}
	}
	if name == "" {
		name = host
	}
	if !configs.IsName(name) {
		name = fmt.Sprintf("mbx%d", len(d.order)+1)
	}
	if d.serverNames[strings.ToLower(name)] {
		name = fmt.Sprintf("%.50s-%s", name, port)
	}
	for base, n := name, 2; d.serverNames[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	bound(len(d.order), "mailbox servers")
	d.serverNames[strings.ToLower(name)] = true
	s := &server{MailboxServer: configs.MailboxServer{Address: address, TLS: tls}, name: name}
	d.hosts[address] = s
	d.order = append(d.order, address)
	d.take(x, s.key(""))
	return s
}

// twoPorts is for a server that the source names a second time, with the other port of IMAP. TLS from the first byte is
// better than STARTTLS, since it leaves an attacker nothing to suppress.
func (d *draft) twoPorts(x *directive, s *server, address, port string, tls configs.TLSMode) *server {
	if d.hosts[address] = s; port == "993" {
		s.Address, s.TLS = address, tls
	}
	d.remark(x, s.key("address"), "one server with two ports, of which Portico needs one")
	return s
}

// key returns the path of one of the server's keys, or of the server.
func (s *server) key(name string) string {
	if name == "" {
		return "mailbox_servers." + s.name
	}
	return "mailbox_servers." + s.name + "." + name
}

// opposed is for servers of the command line that the product would send passwords to without TLS.
func (d *draft) opposed(x *directive, product string) {
	for _, address := range d.order {
		if s := d.hosts[address]; s.offered {
			d.decide(x, s.key("tls"), "%s sends passwords and mail to mailbox servers without TLS. Portico uses TLS, "+
				"and verifies the certificate: give ca, or server_name, or another tls", product)
		}
	}
}

// maxCopies is how many servers a user may come to, if there are many. With all of them in each database, a file would
// grow with the square of their number.
const maxCopies = 4

// places puts the servers into databases. Servers that are used alike must have the same mail. Each is the first copy
// of one database, so that routing by hash spreads the users.
func (d *draft) places(x *directive, servers []*server) {
	var active, backups []string
	seen := map[string]bool{}
	for _, s := range servers {
		to := &active
		if s.backup {
			to = &backups
		}
		if !seen[s.name] {
			*to = append(*to, s.name)
		}
		seen[s.name] = true
	}
	if len(active) == 0 {
		active, backups = backups, nil
	}
	group := strings.Join(slices.Concat(slices.Sorted(slices.Values(active)), backups), " ")
	if d.group == group {
		d.take(x, "")
		return
	}
	if d.group != "" {
		d.decide(x, "databases", "other servers than those of %s. Portico does not choose servers by listener: make "+
			"databases of %s, and a directory that says which user is in which", d.grouped, group)
		return
	}
	d.group, d.grouped = group, x.place()
	for i := range active {
		ring := slices.Concat(active[i:], active[:i])
		d.database(slices.Concat(ring[:min(len(ring), maxCopies)], backups), true)
	}
	if len(active) > 1 {
		d.config.Routing = configs.RoutingHash
		d.take(x, "routing")
		d.remark(x, "databases", "it sends users to any of these servers, so all must have the same mail. Portico "+
			"sends a user always to the same one, and to the next if it fails (interchangeable)")
	} else if len(backups) > 0 {
		d.remark(x, "databases", "it sends users to the second server if the first fails, so both must have the same "+
			"mail (interchangeable)")
	}
}

// database returns the name of the database with these copies; it makes one if there is none.
func (d *draft) database(copies []string, interchangeable bool) (name string) {
	key := strings.Join(copies, " ")
	if name, there := d.databaseOf[key]; there {
		return name
	}
	if d.config.Databases == nil {
		d.config.Databases = make(map[string]configs.Database)
	}
	name = fmt.Sprintf("db%d", len(d.config.Databases)+1)
	d.databaseOf[key] = name
	d.config.Databases[name] = configs.Database{Copies: copies, Interchangeable: interchangeable && len(copies) > 1}
	return name
}
