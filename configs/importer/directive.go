package importer

import (
	"fmt"
	"regexp"
	"strings"
)

// directive is one setting of a source file, or a block with settings in it.
type directive struct {
	file  string
	line  int
	words []string // the name, then the arguments
	block []*directive
	seen  bool   // a rule has dealt with it
	shown string // what text returns, once it has been asked
}

func (x *directive) name() string { return strings.ToLower(x.words[0]) }

// args returns the words behind the name.
func (x *directive) args() []string { return x.words[1:] }

// arg returns the i-th word behind the name, or "".
func (x *directive) arg(i int) string {
	if i+1 < len(x.words) {
		return x.words[i+1]
	}
	return ""
}

// value returns all words behind the name as one text.
func (x *directive) value() string { return strings.Join(x.args(), " ") }

// place returns where the directive is.
func (x *directive) place() string { return fmt.Sprintf("%s:%d", x.file, x.line) }

// find returns the last directive of a block that has the name, or nil. Products use the last one.
func find(block []*directive, name string) (found *directive) {
	for _, x := range block {
		if x.name() == name {
			found = x
		}
	}
	return found
}

// count returns how many directives are in blocks, with those in blocks of theirs.
func count(block []*directive) int {
	n := len(block)
	for _, x := range block {
		n += count(x.block)
	}
	return n
}

var (
	secretName = regexp.MustCompile(`(?i)passw|passphrase|^(dn)?pass$|secret|token|cred|nonce|^auth$|^key$|header$|` +
		`(api|private|shared).?key|^(pre)?setenv$|^send(-binary)?(-lf)?$`)
	secretValue = regexp.MustCompile(`(?i)^(connect|args|map_library_opt)$`) // settings with a secret among others
	secretPair  = regexp.MustCompile(`(?i)([\w.-]*(?:pass|secret|token|key|cred)[\w.-]*)=[^\s=]+`)
	userInfo    = regexp.MustCompile(`//[^/@\s]*@`)
	urlQuery    = regexp.MustCompile(`((?:://|[\w.]/)[^?#\s]*[?#])\S*`)
	quoted      = regexp.MustCompile(`'[^']*'`) // in a query
	inlineData  = regexp.MustCompile(`(?s)^data:.*|.*PRIVATE KEY.*`)
)

// text returns the directive as a comment may show it: on one line, not too long, without what may be a secret.
func (x *directive) text() string {
	if x.shown == "" {
		x.shown = x.makeText()
	}
	return x.shown
}

func (x *directive) makeText() string {
	const longest = 100
	var words []string
	for i, word := range x.words {
		for _, hide := range []struct {
			what *regexp.Regexp
			by   string
		}{{inlineData, "…"}, {secretPair, "$1=…"}, {userInfo, "//…@"}, {urlQuery, "$1…"}, {quoted, "'…'"}} {
			word = hide.what.ReplaceAllString(word, hide.by)
		}
		words = append(words, word)
		if (secretName.MatchString(word) || i == 0 && secretValue.MatchString(word)) && i < len(x.words)-1 {
			words = append(words, "…")
			break
		}
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\u0085' || r == '\ufeff' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.Join(words, " "), "?"))
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
