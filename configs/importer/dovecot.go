package importer

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"portico/configs"
)

// dovecot reads a configuration of Dovecot 2.3 or 2.4 that is a proxy.
type dovecot struct {
	*draft
	tree []*directive
	all  []*directive // the settings that are for IMAP sign-in: of the file and its blocks for that
	link fields       // how the proxy connects to mailbox servers: of the first passdb that says it
}

func readDovecotProxy(d *draft, tree []*directive) error {
	v := &dovecot{draft: d, tree: tree}
	if find(tree, "director_mail_servers") != nil {
		return errors.New("this is a director, as director_mail_servers says: use portico config import " +
			"dovecot-director")
	}
	return v.read(func() {})
}

// read takes over the configuration. servers takes over those that no passdb names.
func (v *dovecot) read(servers func()) error {
	if err := v.protocols(); err != nil {
		return err
	}
	v.all = slices.Clone(v.tree)
	for _, x := range v.tree {
		if x.name() == "protocol" && x.arg(0) == "imap" {
			v.take(x, "")
			v.all = append(v.all, x.block...)
		}
	}
	v.overridden(v.all)
	for _, x := range v.all {
		v.setting(x)
	}
	v.listeners()
	v.cleartext()
	v.trusted()
	v.certificates(v.all)
	for _, x := range v.tree {
		if x.name() == "local_name" {
			v.take(x, "")
			v.certificates(x.block)
		}
	}
	passdbs := 0
	for _, x := range slices.Concat(v.all[len(v.tree):], v.tree) { // those of protocol imap come first
		if x.name() == "passdb" {
			v.passdb(x)
			passdbs++
		}
	}
	servers()
	if _, proxy := v.link["proxy"]; !proxy && v.link.get("proxy_maybe") == "" && len(v.order) == 0 {
		v.noProxy(passdbs)
	}
	v.towards()
	v.reasons(v.all)
	return nil
}

// protocols checks that IMAP is among the protocols.
func (v *dovecot) protocols() error {
	words := map[string]*directive{}
	for _, x := range v.tree {
		if x.name() != "protocols" {
			continue
		}
		v.take(x, "")
		if len(x.block) == 0 { // Dovecot 2.3: the last line counts
			words = map[string]*directive{}
		}
		for _, word := range strings.Fields(x.value()) {
			words[word] = x
		}
		for _, y := range x.block { // Dovecot 2.4: protocols { imap = yes }
			if v.take(y, ""); y.arg(0) == "no" {
				delete(words, y.name())
			} else {
				words[y.name()] = x
			}
		}
	}
	imap := find(v.tree, "protocols") == nil
	var others []string
	for _, word := range slices.Sorted(maps.Keys(words)) {
		if word == "imap" || word == "imaps" || strings.HasPrefix(word, "$") {
			imap = true
			continue
		}
		others = append(others, word)
	}
	if !imap {
		return errors.New("protocols has no imap: Portico is a proxy for IMAP only")
	}
	if len(others) > 0 {
		v.comment("", "%s: protocols: no counterpart: %s. Portico is a proxy for IMAP only: keep Dovecot for them",
			words[others[0]].place(), strings.Join(others, " "))
	}
	return nil
}

// noProxy says what to do with the configuration of a Dovecot that passes nobody on.
func (v *dovecot) noProxy(passdbs int) {
	which := "no passdb"
	if passdbs == 0 {
		which = "there is no passdb that"
	}
	v.missing("mailbox_servers", "this Dovecot is no proxy: %s says proxy or host. If it holds the mail itself, let "+
		"it listen on another port or machine, and put its host and port in the place of %s (docs/install.md)", which,
		placeholder)
}

// setting takes over a setting that Portico has one value for.
func (v *dovecot) setting(x *directive) {
	c := v.config
	if x.seen || len(x.block) > 0 {
		return
	}
	switch x.name() {
	case "mail_max_userip_connections":
		v.setNumber(x, "settings.max_connections_per_user", &c.Settings.MaxConnectionsPerUser, x.arg(0))
		v.remark(x, "settings.max_connections_per_user", "Dovecot counts a user's connections from each address by "+
			"itself, and Portico all of them together")
	case "login_greeting":
		v.greeting(x)
	case "auth_failure_delay":
		v.time(x, "penalties.first", &c.Penalties.First)
	case "auth_cache_ttl":
		v.time(x, "directory.cache.positive", &c.Directory.Cache.Positive)
	case "auth_cache_negative_ttl":
		v.time(x, "directory.cache.negative", &c.Directory.Cache.Negative)
	case "login_proxy_timeout":
		v.time(x, "timeouts.server_signin", &c.Timeouts.ServerSignin)
	case "auth_default_realm", "auth_default_domain":
		switch {
		case configs.IsHost(x.arg(0)):
			set(v.draft, x, "default_domain", &c.DefaultDomain, x.arg(0))
		case x.arg(0) != "":
			v.decide(x, "default_domain", "no name of a domain")
		}
	case "ssl_min_protocol":
		v.minProtocol(x)
	case "auth_username_format":
		v.usernames(x)
	case "ssl_ca", "ssl_server_ca_file", "ssl_verify_client_cert", "ssl_server_request_client_cert",
		"auth_ssl_require_client_cert", "auth_ssl_username_from_cert":
		if x.arg(0) != "no" && x.arg(0) != "" {
			v.decide(x, "tls", "certificates of clients: with signin.mode master, tls.client_ca verifies them "+
				"(docs/signin.md)")
		}
	case "auth_policy_server_url":
		v.decide(x, "penalties", "Portico asks no policy server. penalties and penalties.guesses bound those who guess")
	case "auth_master_user_separator":
		v.decide(x, "signin", "in mode passthrough Portico passes names such as USER*MASTER on, and the mailbox "+
			"servers verify the master. Its limits and routing see the whole name")
	case "dovecot_config_version", "dovecot_storage_version":
		v.take(x, "")
	}
}

// time takes over a time; a number without a unit is seconds.
func (v *dovecot) time(x *directive, key string, field *time.Duration) {
	value, err := duration(x.value(), time.Second)
	if err == nil && value == 0 && key == "penalties.first" {
		v.decide(x, key, "no delay after a refused sign-in makes guessing fast: Portico's default stays")
		return
	}
	v.setDuration(x, key, field, value, err)
}

func (v *dovecot) greeting(x *directive) {
	text := x.value()
	if text == "" || len(text) > 200 || text[0] == '[' || strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r > '~'
	}) || strings.Contains(text, "%") {
		v.decide(x, "settings.banner", "Portico's greeting is one line of printable ASCII without variables")
		return
	}
	set(v.draft, x, "settings.banner", &v.config.Settings.Banner, text)
}

func (v *dovecot) minProtocol(x *directive) {
	oldest := configs.TLS12
	if x.arg(0) == "TLSv1.3" || x.arg(0) == "LATEST" {
		oldest = configs.TLS13
	}
	set(v.draft, x, "tls.min_version", &v.config.TLS.MinVersion, oldest)
	if x.arg(0) != "TLSv1.2" && oldest == configs.TLS12 {
		v.remark(x, "tls.min_version", "Portico has no TLS before 1.2")
	}
}

func (v *dovecot) usernames(x *directive) {
	switch strings.ReplaceAll(x.arg(0), " ", "") {
	case "%Lu", "%u", "%{user|lower}", "%{user}", "":
		v.remark(x, "directory", "Portico's names are always in lower case")
	default:
		v.decide(x, "directory", "Portico uses the whole name, in lower case. Rules in front of the other sources can "+
			"give it another form: {regexp: \"(.*)@.*\", user: \"$1\"}")
	}
}

// dovecotReasons says why settings of Dovecot have no counterpart. An entry that ends with "*" is for all names that
// begin so.
var dovecotReasons = []struct{ name, why string }{
	{"director_user_expire", "routing: hash always gives a user the same server"},
	{"director_servers", "Portico needs no ring: with the same file, each node gives a user the same server"},
	{"auth_mechanisms", "Portico offers the mechanisms that all mailbox servers offer"},
	{"auth_cache*", "Portico's cache counts users (directory.cache.size), and keeps no passwords"},
	{"auth_verbose*", "Portico's log has a line for each sign-in (log.signins), without passwords"},
	{"auth_debug*", "log.level says what Portico logs"},
	{"auth_worker*", "Portico asks directories by itself (directory.in_flight)"},
	{"auth_*", "the mailbox servers verify users, or Portico's directory (docs/signin.md)"},
	{"imap_id_*", "Portico answers ID itself, and sends its own with trusted_id"},
	{"imap_capability", "Portico passes on what the mailbox server says"},
	{"imap_*", "it is for mailbox servers"},
	{"login_source_ips", "give the addresses in source_addresses of each mailbox server"},
	{"login_proxy_*", "Portico has its own ways: the circuit breaker (breaker), and relay for slow clients"},
	{"login_log_format*", "Portico's log has its own format (log.format)"},
	{"login_*", "Portico has no such setting for sign-in"},
	{"verbose_*", "log.level says what Portico logs"},
	{"haproxy_timeout", "settings.pre_authenticated_connection_timeout bounds it"},
	{"log_*", "Portico's log goes to standard error (log)"},
	{"info_log_path", "Portico's log goes to standard error (log)"},
	{"debug_log_path", "Portico's log goes to standard error (log)"},
	{"syslog_facility", "Portico's log goes to standard error (log)"},
	{"ssl_cipher*", "Portico's TLS library has safe ciphers only"},
	{"ssl_curve_list", "Portico's TLS library chooses the curve"},
	{"ssl_prefer_server_ciphers", "Portico's TLS library chooses the cipher"},
	{"ssl_server_prefer_ciphers", "Portico's TLS library chooses the cipher"},
	{"ssl_dh*", "Portico's TLS library uses no such parameters"},
	{"ssl_server_dh_file", "Portico's TLS library uses no such parameters"},
	{"ssl_options", "Portico's TLS library has no such options"},
	{"ssl_key_password", "Portico reads keys without a pass phrase: store the key without one"},
	{"ssl_server_key_password", "Portico reads keys without a pass phrase: store the key without one"},
	{"default_*", "Portico is one process"},
	{"base_dir", "systemd gives Portico its folders"},
	{"state_dir", "systemd gives Portico its folders"},
	{"instance_name", "Portico has no instances"},
	{"first_valid_*", "Portico reads no mail"},
	{"mail_*", "it is for mailbox servers"},
	{"mailbox_*", "it is for mailbox servers"},
	{"namespace", "it is for mailbox servers"},
	{"userdb", "it is for mailbox servers"},
	{"plugin", "it is for mailbox servers"},
	{"dict*", "it is for mailbox servers"},
	{"lda*", "Portico is a proxy for IMAP only"},
	{"lmtp*", "Portico is a proxy for IMAP only"},
	{"pop3*", "Portico is a proxy for IMAP only"},
	{"submission*", "Portico is a proxy for IMAP only"},
	{"managesieve*", "Portico is a proxy for IMAP only"},
	{"doveadm*", "portico user kick and portico user where take the place of doveadm kick and doveadm director"},
	{"stats*", "Portico has /metrics"},
	{"metric", "Portico has /metrics"},
	{"service", "Portico is one process, and only the listeners of imap-login have a counterpart"},
	{"protocol", "Portico is a proxy for IMAP only"},
	{"local", "Portico's settings are the same at all addresses"},
	{"remote", "Portico's settings are the same for all clients"},
	{"director_*", "Portico has no ring of directors"},
	{"shutdown_clients", "portico service upgrade keeps sessions"},
	{"disable_plaintext_auth", "settings.login_type already means it"},
	{"auth_allow_cleartext", "settings.login_type already means it"},
}

// reasons records what has none of its own.
func (v *dovecot) reasons(block []*directive) {
	for _, x := range block {
		if x.seen {
			continue
		}
		for _, reason := range dovecotReasons {
			prefix, wild := strings.CutSuffix(reason.name, "*")
			if x.name() == prefix || wild && strings.HasPrefix(x.name(), prefix) {
				v.withoutBlock(x, "%s", reason.why)
				break
			}
		}
	}
}
