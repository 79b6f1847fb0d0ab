package secret

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// URL returns what people may see of an URL: scheme, host and path. Its user part may be a secret, and so may its
// query.
func URL(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return "the URL"
	}
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // an URL that is not well formed may have anything before it
		rest = rest[at+1:]
	}
	return scheme + "://" + rest
}

// CheckHostPort refuses what is to be HOST or HOST:PORT and has a user part, or is a URL. The error shows no user
// part.
func CheckHostPort(address string) error {
	switch {
	case strings.Contains(address, "@"): // a password may have any character, so nothing of it is shown
		return errUserPart
	case strings.Contains(address, "://"):
		return fmt.Errorf("%s is a URL: write HOST:PORT", URL(address))
	}
	return nil
}

var errUserPart = errors.New("the address has a user part, which is not shown because it may be secret: write " +
	"HOST:PORT, and give the user and the password with their own flags")

var errNoURL = errors.New("not a well-formed URL")

// WithoutURL returns the cause of an error of net/http or net/url, whose own text shows the URL.
func WithoutURL(err error) error {
	var wrapped *url.Error
	switch {
	case !errors.As(err, &wrapped):
		return err
	case wrapped.Op == "parse": // the cause may show a piece
		return errNoURL
	}
	return wrapped.Err
}
