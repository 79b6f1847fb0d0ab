package protolog

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Filter says which sessions and commands somebody wants to see. An empty field fits everything; all other fields must
// fit.
type Filter struct {
	// a pattern for the whole canonical name: * is any characters, ? is one
	User    string        `json:"user,omitempty"`
	IP      string        `json:"ip,omitempty"` // the client's address, or a network
	Server  string        `json:"server,omitempty"`
	Session string        `json:"session,omitempty"`
	Command string        `json:"command,omitempty"` // such as fetch, which is "uid fetch" too
	Slower  time.Duration `json:"slower,omitempty"`  // only commands with at least this server time, in nanoseconds
}

// ErrFilter is the error of a filter with a value that none can have.
var ErrFilter = errors.New("not a filter")

// filterError says what is wrong with a filter. It is ErrFilter.
type filterError struct{ error }

func (filterError) Is(target error) bool { return target == ErrFilter }

func badFilter(format string, args ...any) error { return filterError{fmt.Errorf(format, args...)} }

// maxPattern bounds each text of a filter, in bytes.
const maxPattern = 256

// filter is a compiled Filter.
type filter struct {
	Filter
	network netip.Prefix
	uid     string // the command, behind UID
}

// compile checks a filter.
func (f Filter) compile() (filter, error) {
	c := filter{Filter: f}
	for name, text := range map[string]string{"user": f.User, "server": f.Server, "session": f.Session,
		"command": f.Command} {
		if len(text) > maxPattern {
			return c, badFilter("%s: longer than %d bytes", name, maxPattern)
		}
	}
	c.User, c.Command, c.Session = strings.ToLower(f.User), strings.ToLower(f.Command), strings.ToLower(f.Session)
	c.uid = "uid " + c.Command
	if f.Slower < 0 {
		return c, badFilter("slower: %v is negative", f.Slower)
	}
	if f.IP == "" {
		return c, nil
	}
	var err error
	c.network, err = ParseNetwork(f.IP)
	return c, err
}

// ParseNetwork reads an address or a network. An address becomes the network of that one address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil && strings.Contains(text, "@"): // it may be a URL with a password
		return netip.Prefix{}, badFilter("ip: the value is neither an address nor a network such as 192.0.2.0/24")
	case err != nil:
		return netip.Prefix{}, badFilter("ip: %q is neither an address nor a network such as 192.0.2.0/24", text)
	}
	addr = addr.Unmap().WithZone("")
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// Covers says whether a network that ParseNetwork returned contains an address. The zero network contains all.
func Covers(network netip.Prefix, addr netip.Addr) bool {
	return !network.IsValid() || network.Contains(addr.Unmap().WithZone(""))
}

// fits says whether a session fits, as far as it is known now.
func (f *filter) fits(s Subject) bool {
	return (f.User == "" || s.User != "" && Glob(f.User, s.User)) &&
		(f.Server == "" || s.Server != "" && f.Server == s.Server) &&
		(f.Session == "" || f.Session == s.ID) &&
		Covers(f.network, s.Client.Addr())
}

// mayFitLater says whether a session that does not fit now may fit once more of it is known.
func (f *filter) mayFitLater(s Subject) bool {
	known := *f
	if s.User == "" {
		known.User = ""
	}
	if s.Server == "" {
		known.Server = ""
	}
	return known.fits(s) && !f.fits(s)
}

// wants says whether an event fits, in a session that fits.
func (f *filter) wants(command string, took time.Duration) bool {
	return (f.Command == "" || strings.EqualFold(f.Command, command) || f.uid == command) && took >= f.Slower
}

// Glob matches a whole text: * is any characters, ? is one.
func Glob(pattern, text string) bool {
	star, from := -1, 0 // the place of the last *, and the text position from which to try it again
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
