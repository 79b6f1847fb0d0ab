package replay

import (
	"strconv"
	"strings"

	"portico/protolog"
	"portico/proxy/wire"
)

// plainVerbs are the commands whose parameters do not matter.
var plainVerbs = map[string]Verb{
	"capability": Capability, "noop": Noop, "id": ID, "namespace": Namespace, "list": List, "lsub": List,
	"status": Status, "select": Select, "examine": Examine, "store": Store, "uid store": Store, "copy": Copy,
	"uid copy": Copy, "move": Copy, "uid move": Copy, "expunge": Expunge, "uid expunge": Expunge, "close": Close,
	"unselect": Close, "sort": Search, "uid sort": Search, "thread": Search, "uid thread": Search, "append": Append,
	"idle": Idle, "logout": Logout, "login": SignIn, "authenticate": SignIn,
}

// commandOf turns a row's command into a step. It uses only the IMAP keywords of the parameters.
func commandOf(row *protolog.Row) Step {
	command, parameters := row[9], strings.ToUpper(row[10])
	if verb, known := plainVerbs[command]; known {
		step := Step{Verb: verb}
		if verb == Append {
			step.Bytes = size(row[7], 1)
		}
		return step
	}
	switch command {
	case "search", "uid search":
		if containsWord(parameters, "BODY") || containsWord(parameters, "TEXT") {
			return Step{Verb: SearchText}
		}
		return Step{Verb: Search}
	case "fetch", "uid fetch":
		return Step{Verb: fetchVerb(parameters), Bytes: size(row[8], 1), Messages: rowsOf(row[11])}
	}
	return Step{Verb: Other}
}

// fetchVerb returns the verb of a FETCH, by its items.
func fetchVerb(items string) Verb {
	headers := strings.Contains(items, "HEADER") || strings.Contains(items, "ENVELOPE") ||
		strings.Contains(items, "BODYSTRUCTURE")
	switch {
	case strings.Contains(items, "BODY[") || strings.Contains(items, "BODY.PEEK["):
		for _, section := range strings.Split(items, "[")[1:] {
			section, _, _ = strings.Cut(section, "]")
			if !strings.Contains(section, "HEADER") && !strings.HasSuffix(section, "MIME") {
				return FetchBody
			}
		}
		return FetchHeaders
	case strings.Contains(items, "BINARY"), strings.Contains(items, "RFC822.TEXT"), hasWhole(items):
		return FetchBody
	case headers:
		return FetchHeaders
	}
	return FetchFlags
}

// hasWhole reports whether RFC822 itself is asked for, not its size or header.
func hasWhole(items string) bool { return containsWord(items, "RFC822") }

// containsWord reports whether a word stands between spaces and parentheses.
func containsWord(text, word string) bool {
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '(' || r == ')' }) {
		if field == word {
			return true
		}
	}
	return false
}

// rowsOf reads how many messages an answer had; at least 1.
func rowsOf(context string) uint32 {
	_, text, _ := strings.Cut(context[strings.LastIndex(context, ";")+1:], "Rows=") // the last part
	n, _ := strconv.ParseUint(text, 10, 64)
	return uint32(min(max(rounded(n), 1), maxMessages))
}

// size reads a number of bytes, at least least.
func size(text string, least uint64) uint32 {
	n, _ := strconv.ParseUint(text, 10, 64)
	return uint32(min(max(rounded(n), least), maxBytes))
}

// knownCommand returns a command's name if Portico knows it, otherwise "other": a file may contain anything.
func knownCommand(name string) string {
	upper := strings.ToUpper(name)
	for _, known := range wire.VerbNames() {
		if upper == known {
			return strings.ToLower(known)
		}
	}
	return "other"
}

// accepted reports whether the answer was OK.
func accepted(context string) bool { return context == "R=OK" || strings.HasPrefix(context, "R=OK;") }
