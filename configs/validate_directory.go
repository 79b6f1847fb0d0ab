package configs

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
)

func (v *validator) directory() {
	for i, source := range v.c.Directory.Sources {
		path := item("directory.sources", i)
		given := 0
		for _, there := range []bool{len(source.Rules) > 0, source.File != "", len(source.HTTP.URLs) > 0} {
			if there {
				given++
			}
		}
		if given != 1 && !v.unread(join(path, "rules")) && !v.unread(join(path, "file")) && !v.unread(join(path, "http")) {
			v.fail(path, "needs one of rules, file and http.urls")
		}
		v.httpDirectory(join(path, "http"), source.HTTP)
		if source.File != "" {
			if _, err := readFile(source.File); err != nil {
				v.failKey(join(path, "file"), "%s", err)
			}
		}
		for j, rule := range source.Rules {
			v.rule(item(join(path, "rules"), j), rule)
		}
	}
}

func (v *validator) rule(path string, rule DirectoryRule) {
	switch {
	case (rule.Match == "") == (rule.Regexp == ""):
		v.fail(path, "needs one of match and regexp")
	case rule.User+rule.Database+rule.Server+rule.Refuse == "":
		v.fail(path, "says nothing: needs a user, database, server or refuse")
	case rule.Database != "" && rule.Server != "":
		v.failKey(join(path, "server"), "stands beside database: give one of the two")
	case rule.Refuse != "" && rule.User+rule.Database+rule.Server != "":
		v.failKey(join(path, "refuse"), "stands beside what is for users who may sign in")
	}
	if _, err := regexp.Compile(rule.Regexp); err != nil {
		v.fail(join(path, "regexp"), "%s", err)
	}
	if rule.Server != "" {
		v.serverThere(join(path, "server"), rule.Server)
	}
	if _, ok := v.c.Databases[rule.Database]; rule.Database != "" && !ok && !v.unread("databases") {
		v.missing(join(path, "database"), "database", rule.Database, slices.Collect(maps.Keys(v.c.Databases)))
	}
}

func (v *validator) httpDirectory(path string, of HTTPDirectory) {
	for i, text := range of.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			v.fail(item(join(path, "urls"), i), "must be an URL of http or https, is %q", text)
		case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")):
			v.warn(item(join(path, "urls"), i), "what is asked there, passwords too if send_password is on, travels unencrypted")
		}
	}
	if (of.SecretHeader == "") != (of.SecretFile == "") {
		v.fail(path, "needs both secret_header and secret_file, or none")
	}
	if of.SecretFile != "" {
		if _, err := ReadToken(of.SecretFile); err != nil {
			v.failKey(join(path, "secret_file"), "%s", err)
		} else {
			v.secret(join(path, "secret_file"), of.SecretFile)
		}
	}
	if of.CA != "" {
		if _, err := readCertificates(of.CA); err != nil {
			v.failKey(join(path, "ca"), "%s", err)
		}
	}
}
