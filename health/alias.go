package health

import "strings"

// aliases are other spellings of probes and monitors, in lower case, that guides and people use (EXCHANGE.md section
// 0).
var aliases = func() map[string]string {
	all := make(map[string]string)
	for _, of := range []string{"Self", "Deep", "Proxy"} {
		for _, item := range []string{"Monitor", "Probe"} {
			all[strings.ToLower("ImapTest"+of+item)] = "Imap" + of + "Test" + item
		}
	}
	return all
}()

// Canonical returns a name or an identity of a probe or monitor as Portico has it: with slashes between its parts,
// where Exchange has backslashes too, and with the item's name in the place of another spelling. What it does not know
// stays as it is.
func Canonical(identity string) string {
	parts := strings.SplitN(strings.ReplaceAll(identity, `\`, "/"), "/", 3)
	for i, part := range parts[:min(len(parts), 2)] { // not a target, which may have any name
		if name, ok := aliases[strings.ToLower(part)]; ok {
			parts[i] = name
		}
	}
	return strings.Join(parts, "/")
}
