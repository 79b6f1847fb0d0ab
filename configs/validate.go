package configs

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
)

// Validate checks the configuration against every rule and returns all errors and warnings, sorted by position. It
// reads the certificates, keys, tokens and passwords that the configuration names, and nothing else.
func (c *Config) Validate() Problems {
	v := &validator{c: c}
	walk("", reflect.ValueOf(c).Elem(), v.field)
	v.listeners()
	v.login()
	v.banner()
	v.enforcing()
	v.admin()
	v.mailboxServers()
	v.databases()
	v.signin()
	v.directory()
	v.certificates()
	v.penalties()
	v.health()
	v.nodes()
	v.cluster()
	v.trusted()
	if c.DataDir == "" {
		v.fail("data_dir", "is missing")
	}
	if d := c.DefaultDomain; d != "" && !hostName.MatchString(d) {
		v.fail("default_domain", "must be a domain name, not %q", d)
	}
	v.problems.sort()
	return v.problems
}

// validator collects the problems that the rules find.
type validator struct {
	c        *Config
	problems Problems
}

// fail reports an error at the value of path.
func (v *validator) fail(path, format string, args ...any) {
	v.add(path, false, false, fmt.Sprintf(format, args...))
}

// failKey reports an error at the key of path.
func (v *validator) failKey(path, format string, args ...any) {
	v.add(path, true, false, fmt.Sprintf(format, args...))
}

// warn reports a warning at the value of path.
func (v *validator) warn(path, format string, args ...any) {
	v.add(path, false, true, fmt.Sprintf(format, args...))
}

func (v *validator) add(path string, atKey, warning bool, message string) {
	p := Problem{Path: path, Message: message, Warning: warning}
	if s := v.c.source; s != nil {
		if s.complained(path) {
			return
		}
		found, exact := s.find(path)
		at := found.value
		if atKey || !exact { // the file has no value there: point at the key around it
			at = found.key
		}
		p.File, p.Line, p.Column = s.file, at.line, at.column
	}
	v.problems = append(v.problems, p)
}

// unread reports whether the reader could not read the value at path, so that the value is a default.
func (v *validator) unread(path string) bool {
	return v.c.source != nil && v.c.source.complained(path)
}

// given returns path if the file sets it, and otherwise instead.
func (v *validator) given(path, instead string) string {
	if s := v.c.source; s != nil {
		if _, ok := s.locations[path]; !ok {
			return instead
		}
	}
	return path
}

// field checks one value against its type and tags.
func (v *validator) field(f field) {
	if err := checkChoice(f); err != nil {
		v.fail(f.path, "%s", err)
	}
	if err := checkRange(f); err != nil {
		v.fail(f.path, "%s", err)
	}
}

func (v *validator) enforcing() {
	if !v.c.Settings.EnforceCertificateErrors {
		v.warn("settings.enforce_certificate_errors",
			"a mailbox server's certificate is checked but not enforced: anybody on the network path can "+
				"impersonate the server")
	}
}

func (v *validator) banner() {
	const longest = 200
	banner := v.c.Settings.Banner
	switch {
	case len(banner) > longest:
		v.fail("settings.banner", "must have at most %d bytes, not %d", longest, len(banner))
	case banner == "":
		v.fail("settings.banner", "must not be empty: a greeting needs text (RFC 9051 section 7.1)")
	case banner[0] == '[':
		v.fail("settings.banner", "must not begin with [: clients would read it as a response code")
	}
	for _, b := range []byte(banner) {
		if b < ' ' || b > '~' {
			v.fail("settings.banner", "must be one line of printable ASCII")
			return
		}
	}
}

func (v *validator) signin() {
	master := v.c.Signin.Master
	switch {
	case master.User == "" && v.c.Signin.Mode == SigninMaster:
		v.fail("signin.master.user", "is missing: mode master signs in as this user")
	case master.User != "" && master.PasswordFile == "":
		v.fail("signin.master.password_file", "is missing: Portico reads the master's password from it")
	case v.c.Signin.Mode == SigninMaster && len(v.c.Directory.Verify) == 0 && v.c.TLS.ClientCA == "" &&
		!v.unread("directory.verify"):
		v.fail("signin.mode",
			"master admits only users whom Portico has verified: list a source of passwords in directory.verify, or "+
				"set tls.client_ca")
	case v.c.Signin.Mode != SigninMaster && v.c.TLS.ClientCA != "":
		v.warn("tls.client_ca", "client certificates sign nobody in without signin.mode master")
	}
	v.password("signin.master.password_file", master.PasswordFile)
}

func (v *validator) penalties() { v.networks("penalties.exempt", v.c.Penalties.Exempt) }

func (v *validator) trusted() {
	for i, network := range v.networks("trusted_networks", v.c.TrustedNetworks) {
		if network.IsValid() && network.Bits() == 0 {
			v.warn(item("trusted_networks", i), "everybody may claim any client address")
		}
	}
}

// networks reads a list of networks. Wrong texts are reported and become invalid prefixes.
func (v *validator) networks(path string, texts []string) []netip.Prefix {
	networks := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		var err error
		if networks[i], err = netip.ParsePrefix(text); err != nil {
			v.fail(item(path, i), "must be a network such as 10.0.0.0/8, not %q", text)
		}
	}
	return networks
}

// Names are used in metric labels, store keys and command lines.
var (
	itemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	hostName = regexp.MustCompile(`^[\pL\pN]([\pL\pN.-]{0,251}[\pL\pN])?$`)
)

// IsName reports whether a text may be the name of a mailbox server or a database.
func IsName(text string) bool { return itemName.MatchString(text) }

// IsHost reports whether a text may be the name of a host or a domain.
func IsHost(text string) bool { return hostName.MatchString(text) }

const nameRule = "a name has 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit"

func (v *validator) name(path, name string) {
	if !itemName.MatchString(name) {
		v.failKey(path, nameRule)
	}
}
