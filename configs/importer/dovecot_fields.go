package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// field is one of the fields that a passdb gives a user. Dovecot calls them extra fields.
type field struct {
	value string
	by    *directive
}

type fields map[string]field

func (f fields) get(name string) string { return f[name].value }

// on says whether a field is given and is not "no".
func (f fields) on(name string) bool { return f.get(name) != "" && f.get(name) != "no" }

// read reads fields of the form NAME=VALUE.
func (f fields) read(by *directive, words []string) fields {
	for _, word := range words {
		name, value, given := strings.Cut(word, "=")
		if !given {
			value = "y"
		}
		f[strings.ToLower(name)] = field{value, by}
	}
	return f
}

// passdbFields are the fields that a passdb gives every user: those that apply if its database says nothing, and those
// that apply whatever it says.
type passdbFields struct{ byDefault, override fields }

// with adds the fields of the database, in Dovecot's order.
func (p passdbFields) with(own fields) fields {
	all := fields{}
	for _, more := range []fields{p.byDefault, own, p.override} {
		maps.Copy(all, more)
	}
	return all
}

// passdbFields reads the fields that a passdb gives every user.
func (v *dovecot) passdbFields(x *directive) passdbFields {
	p := passdbFields{fields{}, fields{}}
	for _, y := range x.block {
		to := p.override
		switch y.name() {
		case "default_fields", "passdb_default_fields":
			to = p.byDefault
		case "override_fields", "fields", "passdb_fields", "passdb_override_fields":
		default:
			continue
		}
		v.take(y, "")
		if len(y.block) == 0 {
			to.read(y, strings.Fields(y.value()))
		}
		for _, z := range y.block { // Dovecot 2.4
			v.take(z, "")
			name, kind, _ := strings.Cut(z.name(), ":")
			if kind != "" {
				p.byDefault[name] = field{z.value(), z}
			} else {
				to[name] = field{z.value(), z}
			}
		}
	}
	return p
}

// barring are the fields that keep a user out, always or from some networks.
var barring = []string{"nologin", "fail", "allow_nets", "allow_real_nets", "delay_until"}

// fateOf says what becomes of a field that nothing else reads: its kind of note, and why. The kind is "" for a field
// that is read.
func fateOf(name, value string) (kind, why string) {
	switch name {
	case "proxy", "proxy_always", "proxy_mech", "host", "hostip", "port", "ssl", "starttls", "nopassword", "pass",
		"master":
		return "", ""
	case "destuser", "user", "username":
		if !strings.Contains(value, "%") || wholeUser(value) {
			return "", ""
		}
		return noteDecide, "a rule can give users another name at the mailbox server"
	case "password":
		if value == "" {
			return "", ""
		}
		return noteDecide, "all users have one password. Portico lets the mailbox servers verify passwords"
	case "allow_nets", "allow_real_nets":
		return noteDecide, "Portico does not restrict users to networks: let a firewall do it"
	case "nologin", "fail", "delay_until":
		return noteDecide, "to keep users out, give them refuse in a map or a rule (docs/directory.md)"
	case "proxy_maybe":
		return noteDecide, "some users' mail is on this machine. Portico is a proxy only: make this Dovecot a " +
			"mailbox server with another port"
	case "source_ip":
		return noteDecide, "give the address in source_addresses of each mailbox server"
	case "director_tag":
		return noteDecide, "servers with a tag need a database, and a directory that says which user is in it"
	case "login_user", "noauthenticate", "proxy_noauth":
		return noteDecide, "Portico signs users in by their own name and password, or as a master user (docs/signin.md)"
	case "reason":
		return noteWithout, "Portico gives everybody who is refused the same answer"
	case "nodelay":
		return noteWithout, "Portico's delays are for all users (penalties)"
	case "proxy_timeout":
		return noteWithout, "timeouts.server_signin is for all users"
	case "proxy_not_trusted":
		return noteWithout, "Portico sends the client's address only with trusted_id or proxy_protocol"
	}
	for _, prefix := range []string{"userdb_", "event_", "forward_", "k5principals"} {
		if strings.HasPrefix(name, prefix) {
			return noteWithout, "it is for mailbox servers"
		}
	}
	return noteWithout, "Portico has no such field"
}

// wholeUser says whether a text is the variable that stands for the user's whole name.
func wholeUser(value string) bool {
	switch strings.ReplaceAll(value, " ", "") {
	case "%u", "%Lu", "%{user}", "%{user|lower}", "%{original_user}":
		return true
	}
	return false
}

// common records the fields that a passdb gives all its users, with what the database gives all of them.
func (v *dovecot) common(p passdbFields, own fields) {
	all := p.with(own)
	for _, some := range []fields{p.byDefault, own} {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			if by := all[name].by; by != some[name].by {
				v.leftField(some[name].by, noteWithout, name, "the value at "+by.place()+" applies")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		if name == "proxy_timeout" {
			value, err := duration(f.value, 1e9)
			v.setDuration(f.by, "timeouts.server_signin", &v.config.Timeouts.ServerSignin, value, err)
			continue
		}
		kind, why := fateOf(name, f.value)
		if kind == "" && (name == "destuser" || name == "user" || name == "username") && !wholeUser(f.value) {
			kind, why = noteDecide, "all users would open one mailbox. A rule can do that: {match: \"*\", user: NAME}"
		}
		v.leftField(f.by, kind, name, why)
	}
	v.setLink(all)
	if name := v.otherMaster(all); name != "" && all.get(name) != "" {
		v.decide(all[name].by, "signin", "field %s: another passdb has another one. Portico has one master user", name)
	}
}

// leftField records a field that has no counterpart, or that somebody has to decide about.
func (v *dovecot) leftField(by *directive, kind, name, why string) {
	switch kind {
	case noteDecide:
		v.decide(by, "directory", "field %.60s: %s", comment(name), why)
	case noteWithout:
		v.comment("", "%s: %s: no counterpart: field %.60s: %s", by.place(), by.text(), comment(name), why)
		v.counts.without++
	}
}

// userFields records the fields of one user's line. It returns why the user must stay out, or "".
func (v *dovecot) userFields(x *directive, m *userMap, own, all fields) (refuse string) {
	for _, name := range slices.Sorted(maps.Keys(own)) {
		f := own[name]
		if all[name].by != f.by {
			m.note(x, noteWithout, "field "+name+": the passdb overrides it", "fields that the passdb overrides")
			continue
		}
		if slices.Contains(barring, name) {
			refuse = name
			m.note(x, noteDecide, fmt.Sprintf("refused: field %s: %s", name, f.value),
				fmt.Sprintf("field %s: Portico refuses such a user in any case, since it cannot look at networks or "+
					"times. Remove refuse to admit the user", name))
			continue
		}
		if kind, why := fateOf(name, f.value); kind != "" {
			m.note(x, kind, fmt.Sprintf("field %s: %s", name, why), fmt.Sprintf("field %s: %s", name, why))
		}
	}
	if name := v.otherMaster(all); name != "" {
		m.decide(x, "field %s: this user has another one, or none. Portico has one master user (signin.master)", name)
	}
	return refuse
}

// setLink keeps the fields of the first passdb or user that say how to connect, for all mailbox servers.
func (v *dovecot) setLink(all fields) {
	if v.link != nil {
		return
	}
	for _, name := range []string{"proxy", "proxy_maybe", "ssl", "starttls", "port", "master", "pass"} {
		if _, given := all[name]; given {
			v.link = all
			return
		}
	}
}

// otherMaster returns the field in which a passdb or user differs from the one credential that Portico can have, or "".
func (v *dovecot) otherMaster(all fields) string {
	for _, name := range []string{"master", "pass"} {
		if value := all.get(name); v.link != nil && value != v.link.get(name) && !strings.Contains(value, "%") {
			return name
		}
	}
	return ""
}
