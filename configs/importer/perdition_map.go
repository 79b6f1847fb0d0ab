package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"portico/configs"
)

// userMap reads the map that map_library and map_library_opt name.
func (p *perdition) userMap() error {
	library, named := p.text("map_library", "perditiondb_gdbm"), p.options["map_library"] != nil
	option := p.options["map_library_opt"]
	if named && p.options["map_library"].arg(0) == "" {
		return nil // no map
	}
	files := slices.Clone(p.extra)
	switch {
	case p.isMapLibrary(library, "posix_regex"):
		if len(files) == 0 {
			files = []string{p.path(p.text("map_library_opt", "popmap.re"))}
		}
	case p.isMapLibrary(library, "gdbm", "bdb"):
		if len(files) == 0 {
			files = p.textOf(p.text("map_library_opt", "popmap.gdbm.db"), named || option != nil)
		}
	case p.isMapLibrary(library, "mysql", "postgresql", "odbc"):
		p.sqlMap(library, option)
		return nil
	case p.isMapLibrary(library, "ldap"):
		p.ldapMap(option)
		return nil
	default:
		p.decide(p.options["map_library"], "directory", "Portico has no such map. docs/directory.md lists the sources "+
			"that it can ask")
		if option != nil {
			p.take(option, "")
		}
		return nil
	}
	if option != nil {
		p.take(option, "")
	}
	for _, file := range files {
		if err := p.readMap(file, p.isMapLibrary(library, "posix_regex")); err != nil {
			return err
		}
	}
	return nil
}

// textOf returns the file with the lines that a database was made from: it stands beside the database.
func (p *perdition) textOf(database string, needed bool) []string {
	text := p.path(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(database, ".db"), ".gdbm"), ".bdb"))
	if found, err := p.source.glob(text); err == nil && len(found) > 0 {
		return []string{text}
	}
	if needed || p.options["outgoing_server"] == nil {
		p.missing("directory", "the map of users is a database (%s), which portico config import cannot read. Give "+
			"the file that it was made from behind perdition.conf, usually popmap", filepath.Base(database))
	}
	return nil
}

// readMap reads the lines of a map: KEY:SERVER, or EXPRESSION: SERVER.
func (p *perdition) readMap(file string, expressions bool) error {
	text, err := p.source.load(file)
	if err != nil {
		if os.IsNotExist(err) {
			p.missing("directory", "the map of users is not there: %s. Give its name behind perdition.conf", err)
			return nil
		}
		return err
	}
	for i, line := range strings.Split(text, "\n") {
		x := &directive{file: p.source.short(file), line: i + 1}
		if expressions {
			x.words, _ = splitWords(line, false)
			if len(x.words) > 1 {
				x.words = []string{strings.TrimSuffix(x.words[0], ":"), x.value()}
			}
		} else if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			name, server, _ := strings.Cut(line, ":")
			x.words = []string{strings.TrimSpace(name), strings.TrimSpace(server)}
		}
		if len(x.words) == 0 {
			continue
		}
		if err := p.source.addLine(x); err != nil {
			return err
		}
		p.mapFile = x.file
		p.entry(x, expressions)
	}
	return nil
}

// entry takes over one line of a map: a name or a regular expression, and the server of these users.
func (p *perdition) entry(x *directive, expression bool) {
	name, at := x.words[0], strings.LastIndexByte(x.arg(0), '@')
	user := ""
	if at > 0 && p.renames() {
		user = x.arg(0)[:at]
	}
	leave := p.users.decide
	if expression {
		leave = func(x *directive, format string, args ...any) { p.decide(x, "directory", format, args...) }
	}
	s, err := p.mailboxServer(x, x.arg(0)[at+1:])
	if err != nil || name == "" || len(x.words) != 2 {
		leave(x, "not taken over: write this user's place into the directory")
		return
	}
	if expression {
		p.rule(x, name, user, p.database([]string{s.name}, false))
		return
	}
	if !mapName(name) || user != "" && !mapName(user) {
		leave(x, "not taken over: a map file has no such names")
		return
	}
	if p.users.has(x, name) {
		return
	}
	place := "database=" + p.database([]string{s.name}, false)
	if user != "" {
		place += " user=" + user
	}
	p.users.add(name, place)
}

// rule takes over a line of a map of regular expressions.
func (p *perdition) rule(x *directive, name, user, place string) {
	name = wholeName(name)
	if _, err := regexp.Compile(name); err != nil || len(name) > 1000 {
		p.decide(x, "directory", "not taken over: Portico's regular expressions have another syntax (Go's)")
		return
	}
	bound(len(p.rules), "rules")
	p.rules = append(p.rules, configs.DirectoryRule{Regexp: name, User: reference.ReplaceAllString(user, "$${$1}"),
		Database: place})
	p.take(x, fmt.Sprintf("directory.sources[0].rules[%d]", len(p.rules)-1))
}

// renames says whether the name in the map is the one that the mailbox server gets.
func (p *perdition) renames() bool {
	x := p.options["username_from_database"]
	if x != nil {
		p.take(x, "")
	}
	return x != nil
}

// wholeName makes an expression that matches a part of a name one for the whole name, as Portico's rules need it.
func wholeName(expression string) string {
	if strings.Contains(expression, "|") { // anchors may be of one alternative
		return ".*(?:" + expression + ").*"
	}
	inner, begins := strings.CutPrefix(expression, "^")
	inner, ends := strings.CutSuffix(inner, "$")
	if ends && strings.HasSuffix(inner, `\`) {
		inner, ends = inner+"$", false
	}
	return map[bool]string{false: ".*"}[begins] + inner + map[bool]string{false: ".*"}[ends]
}

// reference is what an expression matched: $1 in perdition, and ${1} in Portico, where a letter may follow $1.
var reference = regexp.MustCompile(`\$([1-9])`)

// writeEntries makes sources of the directory of the map: a file of names, or rules. Each server has a database.
func (p *perdition) writeEntries() {
	if len(p.rules) > 0 {
		p.config.Directory.Sources = append(p.config.Directory.Sources, configs.DirectorySource{Rules: p.rules})
		p.comment("directory.sources[0]", "The lines of %s.", p.mapFile)
	}
	if key := p.writeMap(&directive{file: p.mapFile, line: 1, words: []string{""}}, &p.users); key != "" {
		p.comment(key, "Made from %s: %s.", p.mapFile, counted(p.users.users, "user"))
	}
}

// perditionReasons says why options of perdition have no counterpart.
var perditionReasons = map[string]string{
	"imap_capability":                 "Portico passes on what the mailbox server says",
	"capability":                      "Portico passes on what the mailbox server says",
	"pop_capability":                  "Portico is a proxy for IMAP only",
	"managesieve_capability":          "Portico is a proxy for IMAP only",
	"explicit_domain":                 "it has an effect only with add_domain",
	"connect_relog":                   "Portico's log has one line for a sign-in and one for its end",
	"connection_logging":              "portico log on logs the commands of chosen sessions",
	"log_passwd":                      "Portico never logs passwords",
	"log_facility":                    "Portico's log goes to standard error (log)",
	"debug":                           "log.level says what Portico logs",
	"quiet":                           "log.level says what Portico logs",
	"pid_file":                        "systemd knows the process",
	"username":                        "systemd starts Portico as its own user",
	"group":                           "systemd starts Portico as its own user",
	"no_daemon":                       "systemd knows the process",
	"inetd_mode":                      "Portico opens its own listeners",
	"no_lookup":                       "Portico looks names up when it connects",
	"no_bind_banner":                  "settings.banner is the greeting",
	"ok_line":                         "Portico passes on the mailbox server's answer",
	"server_ok_line":                  "Portico always passes on the mailbox server's answer",
	"server_resp_line":                "Portico always passes on the mailbox server's answer",
	"tcp_keepalive":                   "Portico always does it (keepalive_idle)",
	"config_file":                     "it names this file",
	"username_from_database":          "no entry of the map names another user",
	"ssl_ca_path":                     "ca is one file: join the certificates of the folder",
	"ssl_dh_params_file":              "Portico's TLS library uses no such parameters",
	"ssl_cert_verify_depth":           "Portico's TLS library bounds the chain",
	"ssl_listen_ciphers":              "Portico's TLS library has safe ciphers only",
	"ssl_outgoing_ciphers":            "Portico's TLS library has safe ciphers only",
	"ssl_no_client_cert_verify":       "Portico asks clients for no certificate",
	"ssl_passphrase_fd":               "Portico reads keys without a pass phrase: store the key without one",
	"ssl_passphrase_file":             "Portico reads keys without a pass phrase: store the key without one",
	"ssl_outgoing_min_proto_version":  "Portico needs TLS 1.2 or newer from mailbox servers",
	"ssl_listen_max_proto_version":    "Portico has TLS 1.2 and 1.3",
	"ssl_outgoing_max_proto_version":  "Portico has TLS 1.2 and 1.3",
	"ssl_listen_compression":          "TLS compression is not safe, and Portico does not have it",
	"ssl_outgoing_compression":        "TLS compression is not safe, and Portico does not have it",
	"ssl_no_cipher_server_preference": "Portico's TLS library chooses the cipher",
}
