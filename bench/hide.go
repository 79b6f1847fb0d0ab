package bench

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// secretStart is how many leading bytes of a secret are enough to mask a word: a server may repeat the secret and cut
// it.
const secretStart = 16

// hide masks the password in a server's text, in all forms in which it was sent. The text must be whole: a cut could
// leave a part of the password.
func (c credential) hide(text string) string {
	password := string(c.user.Password)
	if password == "" {
		return text
	}
	padded := []string{c.encoded(), base64.StdEncoding.EncodeToString([]byte(password))}
	for _, form := range []string{strings.TrimRight(padded[0], "="), strings.TrimRight(padded[1], "="), password} {
		text = mask(text, form, false)
		if len(form) > secretStart {
			text = mask(text, form[:secretStart], true)
		}
	}
	return text
}

// quote returns a server's text in quotes, short and without the password. Quoting changes the password's characters,
// so they are hidden before.
func (c credential) quote(text []byte) string { return strconv.Quote(cut(c.hide(string(text)))) }

// mask masks a secret wherever it is in a text, also if backslashes precede its characters: the client escapes them in
// a quoted string, and servers escape what they repeat. With words, the mask covers the rest of the word as well.
func mask(text, secret string, words bool) string {
	plain := strings.ReplaceAll(secret, `\`, "")
	if plain == "" { // nothing but backslashes
		return strings.ReplaceAll(text, secret, passwordMask)
	}
	var b strings.Builder
	from := 0
	for i := 0; i < len(text); i++ {
		end := escapedEnd(text, i, plain)
		if end < 0 {
			continue
		}
		if words {
			end += len(wordOf(text[end:]))
		}
		b.WriteString(strings.TrimRight(text[from:i], `\`))
		b.WriteString(passwordMask)
		from, i = end, end-1
	}
	b.WriteString(text[from:])
	return b.String()
}

// wordOf returns the beginning of a text up to a space, a quote or a line end.
func wordOf(text string) string {
	if end := strings.IndexAny(text, " \"\r\n"); end >= 0 {
		return text[:end]
	}
	return text
}

// escapedEnd returns the end of a secret whose first character is at a byte of the text, or -1. Backslashes between
// and after its characters belong to it.
func escapedEnd(text string, at int, secret string) int {
	n := 0
	for ; at < len(text); at++ {
		switch {
		case n < len(secret) && text[at] == secret[n]:
			n++
		case n == 0 || text[at] != '\\':
			if n == len(secret) {
				return at
			}
			return -1
		}
	}
	if n == len(secret) {
		return at
	}
	return -1
}
