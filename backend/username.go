package backend

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MasterSeparator stands between a user and the master user who signs in for them (user*master). A client that may write it
// could become somebody else, so no user name has it.
const MasterSeparator = '*'

// maxUserName bounds a user name in bytes, twice what a mail address may have (RFC 5321 section 4.5.3.1).
const maxUserName = 640

// ErrUserName says that a name cannot be any user's. The error that wraps it tells why, without the name.
var ErrUserName = errors.New("not a user name")

var errLongUserName = fmt.Errorf("%w: it is longer than %d bytes", ErrUserName, maxUserName)

// Canonical returns the one form of a user name that routing, limits, penalties and logs use: lower case, in Unicode's NFC,
// with "@defaultDomain" appended if it has no domain and defaultDomain is not "". The result is its own canonical form. Names
// that are empty, too long, no UTF-8 or that hold a control character (NUL, CR and LF are such) or MasterSeparator give an
// error that wraps ErrUserName.
func Canonical(name, defaultDomain string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: it is empty", ErrUserName)
	case len(name) > maxUserName:
		return "", errLongUserName
	case !utf8.ValidString(name):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrUserName)
	case strings.ContainsRune(name, MasterSeparator):
		return "", fmt.Errorf("%w: it has the master separator %q", ErrUserName, MasterSeparator)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", fmt.Errorf("%w: it has a control character", ErrUserName)
	}
	if defaultDomain != "" && !strings.Contains(name, "@") {
		name += "@" + defaultDomain
	}
	if local, domain, ok := strings.Cut(name, "@"); ok && (local == "" || domain == "") {
		return "", fmt.Errorf("%w: nothing before or behind the @", ErrUserName)
	}
	// A letter may have no lower case until it is composed, so compose on both sides of lower-casing.
	name = norm.NFC.String(strings.ToLower(norm.NFC.String(name)))
	if len(name) > maxUserName {
		return "", errLongUserName
	}
	return name, nil
}
