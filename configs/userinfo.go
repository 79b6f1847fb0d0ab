package configs

import "strings"

// withoutUserInfo takes the user parts of URLs out of a message: passwords may stand in them, and messages reach logs
// and terminals. An URL that was taken for a path has one slash less.
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

// endOfURL returns where an URL may end at the latest: quoted, with its quotes, and else with a clause of the message.
func endOfURL(rest string, quoted bool) int {
	for i := range len(rest) {
		switch {
		case quoted && rest[i] == '"' && (i == 0 || rest[i-1] != '\\'), !quoted && strings.HasPrefix(rest[i:], ": "):
			return i
		}
	}
	return len(rest)
}
