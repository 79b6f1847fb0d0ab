package secret

import (
	"errors"
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

var errNoURL = errors.New("it is not a well-formed URL")

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
