package importer

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/configs"
)

// draft is the configuration that an import fills, with what there is to say about each directive.
type draft struct {
	config         *configs.Config
	source         *source
	notes          map[string][]string    // comments by key; "" for the end of the file
	origin         map[string]string      // the place that a key comes from
	values         map[string]string      // the keys that a directive has set, and their values
	files          []File                 // beside the configuration
	extra          []string               // files after the first, for the reader
	ranges         map[string]configs.Key // of all keys
	hosts          map[string]*server     // by address
	order          []string               // addresses in the order of the source
	group, grouped string                 // the servers that users are spread over, and the place that says so
	said           map[string]bool        // comments, with their keys
	serverNames    map[string]bool        // of mailbox servers
	databaseOf     map[string]string      // by the copies
	decided        map[string]bool
	cleartext      map[string]demand // listeners, by key, at which passwords need no TLS
	headers        []senders         // of the PROXY protocol
	expects        *directive        // the first listener that expects the PROXY protocol
	counts         struct{ taken, without, decide int }
}

func newDraft(s *source) *draft {
	d := &draft{config: configs.Default(), source: s, notes: map[string][]string{}, origin: map[string]string{},
		values: map[string]string{}, ranges: map[string]configs.Key{}, hosts: map[string]*server{},
		decided: map[string]bool{}, said: map[string]bool{}, cleartext: map[string]demand{},
		serverNames: map[string]bool{}, databaseOf: map[string]string{}}
	for _, key := range configs.Keys() {
		d.ranges[key.Path] = key
	}
	return d
}

// take records that a directive has its counterpart in a key.
func (d *draft) take(x *directive, key string) {
	if x == nil { // from the command line
		return
	}
	if !x.seen {
		x.seen = true
		d.counts.taken++
	}
	if key != "" && d.origin[key] == "" {
		d.origin[key] = x.place()
	}
}

// remark is take with a comment at the key.
func (d *draft) remark(x *directive, key, format string, args ...any) {
	d.take(x, key)
	d.comment(key, "%s: %s: taken: %s", x.place(), x.text(), fmt.Sprintf(format, args...))
}

// without records that a directive has no counterpart, and why.
func (d *draft) without(x *directive, format string, args ...any) {
	if !x.seen {
		x.seen = true
		d.counts.without++
	}
	d.comment("", "%s: %s: no counterpart: %s", x.place(), x.text(), fmt.Sprintf(format, args...))
}

// withoutBlock is without for a block and all that is in it.
func (d *draft) withoutBlock(x *directive, format string, args ...any) {
	n := count(x.block)
	d.counts.without += n
	see(x.block)
	if n > 0 {
		format += fmt.Sprintf(" (a block of %s)", counted(n, "directive"))
	}
	d.without(x, format, args...)
}

// overridden records the settings of a block that a later line gives another value. They have no effect in the source.
func (d *draft) overridden(block []*directive) {
	last := map[string]*directive{}
	for _, x := range slices.Backward(block) {
		if later := last[x.name()]; later != nil && len(x.block) == 0 && len(later.block) == 0 {
			d.without(x, "the value at %s applies", later.place())
			continue
		}
		last[x.name()] = x
	}
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// see marks all directives of a block as dealt with.
func see(block []*directive) {
	for _, x := range block {
		x.seen = true
		see(x.block)
	}
}

// decide records that somebody has to decide about a directive. The comment is at the key.
func (d *draft) decide(x *directive, key, format string, args ...any) {
	x.seen = true
	text := fmt.Sprintf("%s: %s: decide: %s", x.place(), x.text(), fmt.Sprintf(format, args...))
	if !d.decided[text] { // one decision, which may concern several mailbox servers
		d.decided[text] = true
		d.counts.decide++
	}
	d.comment(key, "%s", text)
}

// missing records that the source does not say something that Portico needs.
func (d *draft) missing(key, format string, args ...any) {
	d.counts.decide++
	d.comment(key, "decide: %s", fmt.Sprintf(format, args...))
}

func (d *draft) comment(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if said := key + "\x00" + text; !d.said[said] {
		d.said[said] = true
		d.notes[key] = append(d.notes[key], text)
	}
}

// sweep records every directive that no rule has dealt with as one without a counterpart. So none can be lost.
func (d *draft) sweep(block []*directive) {
	for _, x := range block {
		if !x.seen {
			d.without(x, "Portico has no such setting")
		}
		d.sweep(x.block)
	}
}

// set takes a value over into a key. If another directive has given the key another value, somebody has to decide.
func set[T comparable](d *draft, x *directive, key string, field *T, value T) {
	text := fmt.Sprint(value)
	if before, given := d.values[key]; given && before != text {
		d.decide(x, key, "%s has given another value, and Portico has one for all", d.origin[key])
		return
	}
	d.values[key] = text
	*field = value
	d.take(x, key)
}

// setDuration is set for a duration within the bounds of its key. Zero is no limit.
func (d *draft) setDuration(x *directive, key string, field *time.Duration, value time.Duration, err error) {
	low, high, _ := strings.Cut(d.ranges[key].Range, "..")
	least, _ := configs.ParseDuration(low)
	most, _ := configs.ParseDuration(high)
	if err != nil {
		d.decide(x, key, "%s", err)
		return
	}
	bounded := max(least, min(most, value))
	if value == 0 {
		bounded = most
	}
	set(d, x, key, field, bounded)
	if *field == bounded && bounded != value {
		d.remark(x, key, "Portico allows %s to %s", low, high)
	}
}

// setNumber is set for a number within the bounds of its key. Zero is no limit.
func (d *draft) setNumber(x *directive, key string, field *int, text string) {
	low, high, _ := strings.Cut(d.ranges[key].Range, "..")
	least, _ := strconv.Atoi(low)
	most, _ := strconv.Atoi(high)
	value, err := strconv.Atoi(text)
	switch {
	case err != nil || value < 0:
		d.decide(x, key, "is no number")
	case value == 0 && d.ranges[key].Default != high:
		set(d, x, key, field, most)
	case value == 0:
		section, _, _ := strings.Cut(key, ".")
		d.remark(x, section, "no limit is Portico's default")
	default:
		set(d, x, key, field, max(least, min(most, value)))
		if value < least || value > most {
			d.remark(x, key, "Portico allows %s to %s", low, high)
		}
	}
}

// file adds a file beside the configuration, and returns its name.
func (d *draft) file(x *directive, name, content string, secret bool) string {
	for _, f := range d.files {
		if f.Name == name && f.Content == content {
			return name
		}
	}
	base, ext, _ := strings.Cut(name, ".")
	for n := 2; slices.ContainsFunc(d.files, func(f File) bool { return f.Name == name }); n++ {
		name = fmt.Sprintf("%s%d.%s", base, n, ext)
	}
	d.files = append(d.files, File{Name: name, Content: content, Secret: secret, From: x.place()})
	return name
}

// tooMany ends an import of a source that no real site has.
type tooMany string

// bound ends the import if a source has too many of something.
func bound(n int, what string) {
	if n >= maxThings {
		panic(tooMany(fmt.Sprintf("more than %d %s", maxThings, what)))
	}
}

// certificate takes over a certificate and its key.
func (d *draft) certificate(x *directive, cert, key string) {
	pair := configs.Certificate{Cert: cert, Key: key}
	if i := slices.Index(d.config.TLS.Certificates, pair); i >= 0 {
		d.take(x, "")
		return
	}
	bound(len(d.config.TLS.Certificates), "certificates")
	d.config.TLS.Certificates = append(d.config.TLS.Certificates, pair)
	d.take(x, fmt.Sprintf("tls.certificates[%d]", len(d.config.TLS.Certificates)-1))
}

// listen takes over a listener, and returns its key, or "" if another one has the address. Unlike some sources, Portico
// does not listen at a wildcard and at one of its addresses: what is alike becomes one listener, at the wildcard.
func (d *draft) listen(x *directive, l configs.Listener) (key string) {
	if l.ProxyProtocol && d.expects == nil {
		d.expects = x
	}
	var same []int
	for i, have := range d.config.Listeners {
		if configs.Overlap(have.Address, l.Address) || covers(have.Address, l.Address) ||
			covers(l.Address, have.Address) {
			same = append(same, i)
		}
	}
	if len(same) == 0 {
		bound(len(d.config.Listeners), "listeners")
		d.config.Listeners = append(d.config.Listeners, l)
		key = fmt.Sprintf("listeners[%d]", len(d.config.Listeners)-1)
		d.take(x, key)
		return key
	}
	key = fmt.Sprintf("listeners[%d]", same[0])
	have := &d.config.Listeners[same[0]]
	switch wider := !covers(have.Address, l.Address); {
	case have.TLS != l.TLS || have.ProxyProtocol != l.ProxyProtocol, wider && len(same) > 1:
		d.decide(x, key, "this listener has connections for %s too, and cannot be beside another one there. Give one "+
			"of them another port", l.Address)
		return ""
	case wider:
		have.Address = l.Address
	}
	d.take(x, key)
	return key
}

// covers says whether a listener at one address has the connections for another. The wildcard of IPv6 covers that of
// IPv4, as on Portico's listeners.
func covers(wide, address string) bool {
	host, port, _ := net.SplitHostPort(wide)
	of, at, _ := net.SplitHostPort(address)
	v4 := host == "0.0.0.0" && !strings.Contains(of, ":")
	return wide == address || port == at && (host == "::" || v4)
}

// trust takes over networks of proxies. A single address becomes a network.
func (d *draft) trust(x *directive, networks []string) {
	for _, network := range networks {
		if !strings.Contains(network, "/") {
			network += cmp.Or(map[bool]string{true: "/128"}[strings.Contains(network, ":")], "/32")
		}
		if !validNetwork(network) {
			d.decide(x, "trusted_networks", "%.60q is no network", network)
			continue
		}
		if !slices.Contains(d.config.TrustedNetworks, network) {
			bound(len(d.config.TrustedNetworks), "trusted networks")
			d.config.TrustedNetworks = append(d.config.TrustedNetworks, network)
		}
	}
	d.take(x, "trusted_networks")
}

// filePath returns the name of a file that a directive names, as it is from the folder of the source. A name with a
// variable in it is no name: somebody has to decide.
func (d *draft) filePath(x *directive, key, name string) (string, bool) {
	switch {
	case strings.TrimSpace(name) == "":
		d.decide(x, key, "names no file")
		return "", false
	case variable.MatchString(name):
		d.decide(x, key, "the name of the file has a variable in it, which portico config import does not know")
		return "", false
	}
	return absolute(d.source.base, name), true
}

// variable is one of nginx, HAProxy or Dovecot: $name, ${name}, $ENV:name, %{name}.
var variable = regexp.MustCompile(`\$\w|\$\{|%\{|%\[`)
