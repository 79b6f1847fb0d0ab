package configs

import "strings"

// withoutUserInfo removes the user parts of URLs from a message. They may contain passwords, and messages reach logs
// and terminals. A URL that was read as a path has one slash less.
func withoutUserInfo(message string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(message, ":/")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString(":/")
		end := endOfURL(rest, strings.Count(out.String(), `"`)%2 == 1)
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			out.WriteString("/")
			rest = rest[at+1:]
		}
		message = rest
	}
}

// endOfURL returns the last position where a URL may end: at its closing quote, or without quotes at the end of a
// clause.
func endOfURL(rest string, quoted bool) int {
	for i := range len(rest) {
		switch {
		case quoted && rest[i] == '"' && (i == 0 || rest[i-1] != '\\'), !quoted && strings.HasPrefix(rest[i:], ": "):
			return i
		}
	}
	return len(rest)
}
