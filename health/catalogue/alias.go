package catalogue

import (
	"regexp"
	"strings"
)

// aliases are other spellings of probes and monitors, in lower case, that guides and people use, such as
// ImapTestDeepMonitor for ImapDeepTestMonitor (docs/exchange.md).
var aliases = func() map[string]string {
	all := make(map[string]string)
	test := regexp.MustCompile(`^Imap([A-Z][a-z]+)Test(Monitor|Probe)$`)
	for _, e := range entries {
		if e.Monitor == "" {
			continue
		}
		for _, name := range []string{e.Monitor, e.Probe} {
			if of := test.FindStringSubmatch(name); of != nil {
				all[strings.ToLower("ImapTest"+of[1]+of[2])] = name
			}
		}
	}
	return all
}()

// Canonical returns a name or an identity of a probe or monitor as Portico has it: with slashes between its parts,
// where Exchange has backslashes too, and with the item's name in the place of another spelling. A name that the
// catalogue does not have stays as it is.
func Canonical(identity string) string {
	parts := strings.SplitN(strings.ReplaceAll(identity, `\`, "/"), "/", 3)
	for i, part := range parts[:min(len(parts), 2)] { // not a target, which may have any name
		if name, ok := aliases[strings.ToLower(part)]; ok {
			parts[i] = name
		}
	}
	return strings.Join(parts, "/")
}
