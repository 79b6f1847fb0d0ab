package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxRange is how many servers a range of addresses may have. Dovecot's ranges have no more either.
const maxRange = 256

func readDirector(d *draft, tree []*directive) error {
	v := &dovecot{draft: d, tree: tree}
	x := find(tree, "director_mail_servers")
	if x == nil {
		if find(tree, "dovecot_config_version") != nil {
			return errors.New("there is no director in Dovecot 2.4: use portico config import dovecot-proxy")
		}
		return errors.New("director_mail_servers is not set: use portico config import dovecot-proxy")
	}
	return v.read(func() { v.mailServers(x) })
}

// mailServers takes over the servers that a director spreads users over.
func (v *dovecot) mailServers(x *directive) {
	var servers []*server
	for _, word := range strings.Fields(x.value()) {
		hosts, tag, _ := strings.Cut(word, "@")
		addresses, err := addressRange(hosts)
		if err != nil {
			v.decide(x, "mailbox_servers", "%s", err)
			continue
		}
		if tag != "" {
			v.decide(x, "databases", "servers with the tag %s are for users whom the passdb gives it (director_tag). "+
				"Make databases of %s, and a directory that says which user is in which", comment(tag), comment(hosts))
			continue
		}
		for _, host := range addresses {
			if s := v.linkedServer(x, host, v.link); s != nil {
				servers = append(servers, s)
			}
		}
	}
	if v.take(x, ""); len(servers) > 0 {
		v.places(x, servers)
	}
	if y := find(v.tree, "director_username_hash"); y != nil {
		switch strings.ReplaceAll(y.arg(0), " ", "") {
		case "%u", "%Lu", "%{user}", "%{user|lower}":
			v.take(y, "")
		default:
			v.decide(y, "routing", "the director chooses servers by a part of the name, so that users who share "+
				"mailboxes are together. Portico takes the whole name: give such users places in a directory")
		}
	}
}

// addressRange returns the addresses of FIRST-LAST, or the one host.
func addressRange(text string) ([]string, error) {
	first, last, isRange := strings.Cut(text, "-")
	low, errLow := netip.ParseAddr(first)
	high, errHigh := netip.ParseAddr(last)
	if !isRange || errLow != nil || errHigh != nil { // a host may have dashes in its name
		return []string{text}, nil
	}
	if low.BitLen() != high.BitLen() || high.Less(low) {
		return nil, fmt.Errorf("%.80s is no range of addresses", text)
	}
	var all []string
	for at := low; ; at = at.Next() {
		if len(all) == maxRange {
			return nil, fmt.Errorf("%.80s has more than %d addresses", text, maxRange)
		}
		if all = append(all, at.String()); at == high {
			return all, nil
		}
	}
}
