package importer

import (
	"slices"
	"strings"
	"time"

	"portico/configs"
)

// haproxy reads a configuration of HAProxy: the proxies that carry IMAP.
type haproxy struct {
	*draft
	backends   map[string]haproxyProxy // backend and listen, by name
	global     []*directive
	sources    []*directive // the addresses to connect from, of the sections at hand
	listenPort string       // of the listener at hand, which servers without a port have too; "" if it has several
}

// haproxyProxy is one frontend, backend or listen section, with the sections defaults that it has, nearest first.
type haproxyProxy struct {
	section  *directive
	defaults []*directive
}

func readHAProxy(d *draft, tree []*directive) error {
	h := &haproxy{draft: d, backends: map[string]haproxyProxy{}}
	for _, x := range tree {
		h.conditions(x)
		switch x.name() {
		case "global":
			d.take(x, "")
			h.global = append(h.global, x.block...)
			h.globals(x.block)
		case "defaults", "frontend", "listen", "backend":
		default:
			d.withoutBlock(x, "Portico has no such section")
		}
	}
	var fronts []haproxyProxy
	for _, p := range h.proxies(tree) {
		if p.section.name() != "frontend" {
			h.backends[p.section.arg(0)] = p
		}
		if p.section.name() != "backend" {
			fronts = append(fronts, p)
		}
	}
	for _, front := range fronts {
		h.front(front)
	}
	for _, x := range tree {
		switch x.name() {
		case "defaults":
			h.unused(x)
		case "frontend", "listen", "backend":
			if !x.seen {
				d.withoutBlock(x, "no listener for IMAP uses it (port 143 or 993, or imap in its name). Keep HAProxy "+
					"for it")
			}
		}
	}
	return nil
}

// proxies returns the sections with the defaults of each: those that "from NAME" names, or the last ones above.
func (h *haproxy) proxies(tree []*directive) (all []haproxyProxy) {
	chains := map[string][]*directive{} // of named defaults
	var above []*directive
	for _, x := range tree {
		chain := above
		if from := slices.Index(x.args(), "from"); from >= 0 && x.name() != "global" {
			name := x.arg(from + 1)
			if chain = chains[name]; chain == nil {
				h.decide(x, "", "there is no section defaults %s above", comment(name))
			}
		} else if x.name() == "defaults" {
			chain = nil
		}
		switch x.name() {
		case "defaults":
			above = slices.Concat([]*directive{x}, chain)
			if name := x.arg(0); name != "" && name != "from" {
				chains[name] = above
			}
		case "frontend", "listen", "backend":
			all = append(all, haproxyProxy{x, chain})
		}
	}
	return all
}

// unused records a section defaults that no proxy for IMAP has, and lines of one that all proxies have themselves.
func (h *haproxy) unused(x *directive) {
	if !x.seen {
		h.withoutBlock(x, "no listener for IMAP has these defaults")
		return
	}
	for _, y := range x.block {
		if !y.seen {
			h.without(y, "each section for IMAP has its own")
		}
	}
}

// conditions records the lines that make others conditional. Those are taken over in any case.
func (h *haproxy) conditions(section *directive) {
	for _, x := range section.block {
		if strings.HasPrefix(x.words[0], ".") {
			h.decide(x, "", "a condition, which portico config import does not know: the lines below it are taken "+
				"over in any case")
		}
	}
}

// globals takes over the section global.
func (h *haproxy) globals(block []*directive) {
	for _, x := range block {
		switch x.name() {
		case "maxconn":
			h.setNumber(x, "settings.max_connections", &h.config.Settings.MaxConnections, x.arg(0))
		case "ssl-default-bind-options":
			for i, word := range x.args() {
				if word == "ssl-min-ver" {
					h.oldest(x, x.arg(i+1))
				}
			}
		case "ssl-server-verify":
			if x.arg(0) != "none" {
				h.take(x, "")
			} // none: each server that it is for needs a decision
		case "crt-base", "ca-base":
			h.take(x, "")
		}
	}
	h.explain(block, haproxyReasons)
}

// oldest takes over the oldest version of TLS.
func (h *haproxy) oldest(x *directive, version string) {
	oldest := configs.TLS12
	if version == "TLSv1.3" {
		oldest = configs.TLS13
	}
	set(h.draft, x, "tls.min_version", &h.config.TLS.MinVersion, oldest)
	if version != "TLSv1.2" && version != "TLSv1.3" {
		h.remark(x, "tls.min_version", "Portico has no TLS before 1.2")
	}
}

// options takes over what a section says about connections, and its defaults where it says nothing.
func (h *haproxy) options(p haproxyProxy) {
	own := map[string]bool{}
	for _, section := range slices.Concat([]*directive{p.section}, p.defaults) {
		h.take(section, "")
		for _, x := range section.block {
			name := optionName(x)
			if side := haproxySides[name]; side != "" && side == p.section.name() {
				continue // HAProxy ignores it there
			}
			if !own[name] || section == p.section {
				h.option(section, x)
			}
		}
		for _, x := range section.block {
			own[optionName(x)] = true
		}
		h.explain(section.block, haproxyReasons)
	}
}

// haproxySides are the sections in which HAProxy ignores a directive.
var haproxySides = map[string]string{"timeout client": "backend", "clitimeout": "backend", "maxconn": "backend",
	"timeout connect": "frontend", "contimeout": "frontend", "timeout server": "frontend", "source": "frontend"}

// optionName returns what a directive sets: timeouts and options are several.
func optionName(x *directive) string {
	switch x.name() {
	case "timeout", "option", "stats":
		return x.name() + " " + x.arg(0)
	}
	return x.name()
}

func (h *haproxy) option(section, x *directive) {
	c := h.config
	switch x.name() {
	case "mode":
		h.mode(x)
	case "timeout":
		h.timeout(x)
	case "clitimeout":
		h.time(x, x.arg(0), "settings.authenticated_connection_timeout", &c.Settings.AuthenticatedConnectionTimeout)
	case "contimeout":
		h.time(x, x.arg(0), "timeouts.connect", &c.Timeouts.Connect)
	case "maxconn":
		if section.name() == "defaults" {
			h.without(x, "settings.max_connections is for all listeners together")
			return
		}
		h.setNumber(x, "settings.max_connections", &c.Settings.MaxConnections, x.arg(0))
	case "description", "id", "guid":
		h.take(x, "")
	case "disabled":
		h.decide(x, "listeners", "the section is disabled in HAProxy, and Portico would serve it: remove its "+
			"listeners, or start Portico when you want that")
	case "acl", "tcp-request", "tcp-response", "use-server", "ignore-persist", "force-persist", "filter":
		h.decide(x, "listeners", "Portico has no rules for connections: let a firewall refuse clients. "+
			"settings.max_unauthenticated_connections_from_single_ip and penalties bound those who guess")
	case "source":
		h.sources = append(h.sources, x)
		x.seen = true
	}
}

func (h *haproxy) mode(x *directive) {
	if x.arg(0) == "tcp" {
		h.take(x, "")
		return
	}
	h.without(x, "Portico speaks IMAP")
}

func (h *haproxy) timeout(x *directive) {
	c := h.config
	switch x.arg(0) {
	case "client":
		h.time(x, x.arg(1), "settings.authenticated_connection_timeout", &c.Settings.AuthenticatedConnectionTimeout)
	case "connect":
		h.time(x, x.arg(1), "timeouts.connect", &c.Timeouts.Connect)
	case "server":
		h.without(x, "a mailbox server may be silent as long as its client (authenticated_connection_timeout)")
	case "check":
		h.without(x, "Portico's probes have time-outs of their own (health)")
	default:
		h.without(x, "Portico has no such time-out")
	}
}

// time takes over a time; a number without a unit is milliseconds.
func (h *haproxy) time(x *directive, text, key string, field *time.Duration) {
	value, err := duration(text, time.Millisecond)
	h.setDuration(x, key, field, value, err)
}

// source takes over the address that a section connects from, for the servers of that section.
func (h *haproxy) source(x *directive, servers []*server) {
	if len(x.args()) != 1 || len(servers) == 0 {
		h.decide(x, "mailbox_servers", "the address to connect from is source_addresses of each server. Portico does "+
			"not connect with clients' addresses: let servers trust the PROXY protocol or ID instead")
		return
	}
	for _, s := range servers {
		if len(s.SourceAddresses) == 0 { // a server's own comes first
			h.setSources(x, s, []string{strings.Trim(strings.TrimSuffix(x.arg(0), ":0"), "[]")})
		}
	}
}

// haproxyReasons says why directives of HAProxy have no counterpart.
var haproxyReasons = map[string]string{
	"log":                             "Portico's log goes to standard error (log)",
	"log-format":                      "Portico's log has its own format (log.format)",
	"log-tag":                         "systemd's journal names the unit",
	"chroot":                          "portico.service restricts what Portico can reach",
	"user":                            "systemd starts Portico as its own user",
	"group":                           "systemd starts Portico as its own user",
	"uid":                             "systemd starts Portico as its own user",
	"gid":                             "systemd starts Portico as its own user",
	"daemon":                          "systemd knows the process",
	"pidfile":                         "systemd knows the process",
	"master-worker":                   "portico service upgrade replaces the process",
	"nbproc":                          "Portico is one process with an event loop for each CPU (loops)",
	"nbthread":                        "Portico is one process with an event loop for each CPU (loops)",
	"cpu-map":                         "Portico leaves CPUs to the kernel",
	"ulimit-n":                        "systemd sets it: LimitNOFILE in portico.service",
	"maxconnrate":                     "pace.signins_per_second bounds sign-ins after a pause",
	"stats":                           "Portico has the console, /metrics and portico top",
	"ssl-default-bind-ciphers":        "Portico's TLS library has safe ciphers only",
	"ssl-default-bind-ciphersuites":   "Portico's TLS library has safe ciphers only",
	"ssl-default-bind-options":        "Portico has TLS 1.2 and newer",
	"ssl-default-server-ciphers":      "Portico's TLS library has safe ciphers only",
	"ssl-default-server-ciphersuites": "Portico's TLS library has safe ciphers only",
	"ssl-default-server-options":      "Portico needs TLS 1.2 or newer from mailbox servers",
	"ssl-server-verify":               "Portico verifies mailbox servers' certificates",
	"ssl-dh-param-file":               "Portico's TLS library uses no such parameters",
	"tune.ssl.default-dh-param":       "Portico's TLS library uses no such parameters",
	"tune.bufsize":                    "Portico's buffers grow as needed",
	"spread-checks":                   "Portico spreads its probes by itself",
	"balance":                         "Portico sends each user to one server, chosen by the name (routing: hash)",
	"hash-type":                       "Portico sends each user to one server, chosen by the name (routing: hash)",
	"stick-table":                     "Portico sends each user to one server, chosen by the name (routing: hash)",
	"stick":                           "Portico sends each user to one server, chosen by the name (routing: hash)",
	"option": "Portico's sign-ins and probes find servers that fail, and its log and TCP " +
		"options are fixed",
	"no":             "Portico has no such option",
	"retries":        "Portico tries each address of a server once, and then the next copy",
	"tcp-check":      "Portico's probes sign in to health mailboxes (health.mailboxes)",
	"backlog":        "Portico's accept queue is the kernel's greatest (net.core.somaxconn)",
	"fullconn":       "Portico has no limit for a server",
	"errorfile":      "Portico answers in IMAP",
	"srvtimeout":     "a mailbox server may be silent as long as its client",
	"rate-limit":     "pace.signins_per_second bounds sign-ins after a pause",
	"monitor-uri":    "/imap/healthcheck.htm on admin.address answers load balancers",
	"external-check": "Portico's probes sign in to health mailboxes (health.mailboxes)",
	"email-alert":    "Portico sends its own alerts (health.escalate)",
}
