package backend

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"portico/backend/directory"
)

// MasterSeparator separates a user from the master user who signs in for them (user*master). If Portico signs in this
// way, a client that could use the separator could become another user.
const MasterSeparator = '*'

// maxUserName bounds a user name in bytes, twice what a mail address may have (RFC 5321 section 4.5.3.1).
const maxUserName = 640

// ErrUserName says that a name cannot be a user's. The error that wraps it says why, without the name.
var ErrUserName = errors.New("not a user name")

var errLongUserName = fmt.Errorf("%w: it is longer than %d bytes", ErrUserName, maxUserName)

// NameRules say which names are valid, and what their canonical form is.
type NameRules struct {
	// Strict has names follow PRECIS (RFC 8265, UsernameCaseMapped). Without it every name passes that a mailbox
	// server may take.
	Strict bool
	// NoSeparator refuses names with MasterSeparator.
	NoSeparator bool
}

// strictRules are those of names that directories and verifiers give.
var strictRules = NameRules{Strict: true, NoSeparator: true}

// Canonical returns the one form of a user name that comes from a directory or a verifier; see NameRules.Canonical.
func Canonical(name, defaultDomain string) (string, error) {
	return strictRules.Canonical(name, defaultDomain)
}

// Canonical returns the form of a user name that routing, limits, authentication delays and logs use: lower case, in
// Unicode's NFC, with "@defaultDomain" appended if it has no domain and defaultDomain is not "". The result is its own
// canonical form. If a name is empty or too long, has NUL, CR or LF, or does not follow the rules, the error wraps
// ErrUserName.
func (r NameRules) Canonical(name, defaultDomain string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: it is empty", ErrUserName)
	case len(name) > maxUserName:
		return "", errLongUserName
	case strings.ContainsAny(name, "\x00\r\n"):
		return "", fmt.Errorf("%w: it contains a NUL or a line end", ErrUserName)
	case r.NoSeparator && strings.ContainsRune(name, MasterSeparator):
		return "", fmt.Errorf("%w: it contains the master separator %q", ErrUserName, MasterSeparator)
	}
	if defaultDomain != "" && !strings.Contains(name, "@") {
		name += "@" + defaultDomain
	}
	fold := foldAny
	if r.Strict {
		fold = foldStrict
	}
	folded, err := fold(name)
	if err == nil && len(folded) > maxUserName {
		err = errLongUserName
	}
	if err != nil {
		return "", err
	}
	return folded, nil
}

// Canonical returns the canonical form of a name that a client signs in with, or that an operator gives. If only the
// mailbox servers verify names, every name passes that they may accept. If a directory or a verifier uses the name, it
// must follow PRECIS.
func (t *Tier) Canonical(name, defaultDomain string) (string, error) {
	rules := NameRules{
		Strict:      t.locator.directory != nil || t.authentication.mode == directory.ModeMaster,
		NoSeparator: t.authentication.master != nil && t.authentication.master.Separator,
	}
	return rules.Canonical(name, defaultDomain)
}

// foldAny folds a name whatever it holds. What is not UTF-8 keeps all bytes that are not ASCII.
func foldAny(name string) (string, error) {
	if !utf8.ValidString(name) {
		folded := []byte(name)
		for i, c := range folded {
			if c >= 'A' && c <= 'Z' {
				folded[i] = c - 'A' + 'a'
			}
		}
		return string(folded), nil
	}
	// A letter may have no lower case until it is composed, so compose on both sides of lower-casing.
	return norm.NFC.String(strings.ToLower(norm.NFC.String(name))), nil
}

// foldStrict folds the parts before and behind the last @ by PRECIS, each by itself: the rules for writing from right
// to left hold for one part. A user name may have parts between single blanks (RFC 8265 section 3.1).
func foldStrict(name string) (string, error) {
	local, domain, hasDomain := name, "", false
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		local, domain, hasDomain = name[:i], name[i+1:], true
	}
	if hasDomain && (local == "" || domain == "") {
		return "", fmt.Errorf("%w: nothing before or after the @", ErrUserName)
	}
	parts := strings.Split(local, " ")
	for i := range parts {
		var err error
		if parts[i], err = foldPart(parts[i]); err != nil {
			return "", err
		}
	}
	local = strings.Join(parts, " ")
	if !hasDomain {
		return local, nil
	}
	domain, err := foldPart(domain)
	return local + "@" + domain, err
}

// maxFolds is how often a part is folded until that changes nothing any more (RFC 8264 section 7).
const maxFolds = 4

func foldPart(part string) (string, error) {
	if !strings.ContainsFunc(part, func(r rune) bool { return r <= ' ' || r > '~' }) { // all of it allowed
		return strings.ToLower(part), nil
	}
	for range maxFolds {
		folded, err := precis.UsernameCaseMapped.String(part)
		switch {
		case err != nil:
			return "", fmt.Errorf("%w: PRECIS forbids one of its characters, or the character's position: %w",
				ErrUserName, err)
		case folded == part:
			return part, nil
		}
		part = folded
	}
	return "", fmt.Errorf("%w: normalising it again changes it", ErrUserName)
}
