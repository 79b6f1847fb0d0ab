package client

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"portico/backend/secret"
)

// Default says where to look for Portico if nobody says: at the socket, or where that cannot be opened, at DefaultURL.
// Then err says why.
func Default(socket string) (where string, err error) {
	if _, err := os.Stat(socket); err != nil {
		return DefaultURL, fmt.Errorf("%s: %w", socket, wordsOf(err))
	}
	return socket, nil
}

// CheckAddress refuses a URL that is none of HTTP, and HOST:PORT with a user part. Anything else can be a socket's
// path or HOST:PORT.
func CheckAddress(where string) error {
	if scheme, _, isURL := strings.Cut(where, "://"); isURL && scheme != "http" && scheme != "https" {
		return fmt.Errorf("%s: a URL begins with http:// or https://; you may also name a socket or HOST:PORT",
			secret.URL(where))
	}
	if address, found := afterUser(where); found && !strings.Contains(where, "://") &&
		!strings.HasPrefix(where, "/") && !strings.HasPrefix(where, ".") {
		if _, err := os.Stat(where); err != nil {
			return fmt.Errorf("*****@%s is neither a socket nor HOST:PORT: leave out the user and password, "+
				"and give a "+
				"token with --token-file", address)
		}
	}
	return nil
}

// afterUser is what follows the last "@" of an address: a password may have some.
func afterUser(where string) (address string, found bool) {
	at := strings.LastIndexByte(where, '@')
	return where[at+1:], at >= 0
}

// Shown is an address or URL of a Portico for people to read: without a user part.
func Shown(where string) string {
	if strings.Contains(where, "://") {
		return secret.URL(where)
	}
	return where
}

// ErrUnreachable says that no Portico has answered.
var ErrUnreachable = errors.New("no Portico answers")

// baseOf returns the URL of what is one, or HOST:PORT. Portico beyond loopback speaks TLS. A file of that name is a
// socket.
func baseOf(where string) (base string, isURL bool) {
	if strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://") {
		return strings.TrimSuffix(where, "/"), true
	}
	host, port, err := net.SplitHostPort(where)
	if err != nil || strings.Contains(where, "/") {
		return "", false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", false
	}
	if _, err := os.Stat(where); err == nil {
		return "", false
	}
	scheme := "https://"
	if host == "" {
		host = "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().IsLoopback() ||
		strings.EqualFold(host, "localhost") {
		scheme = "http://"
	}
	return scheme + net.JoinHostPort(host, port), true
}

// unreachable says why nobody has answered.
func (c *Client) unreachable(err error) error {
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.where, wordsOf(secret.WithoutURL(err)))
}

// said is an error with words of its own.
type said struct {
	error
	words string
}

func (s said) Error() string { return s.words }
func (s said) Unwrap() error { return s.error }

// wordsOf puts the usual errors in words.
func wordsOf(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return said{err, "the socket does not exist; is Portico running? --admin or PORTICO_ADMIN selects another one"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return said{err, "nothing listens there; is Portico running? --admin or PORTICO_ADMIN selects another one"}
	case errors.Is(err, fs.ErrPermission):
		return said{err, "permission denied; run the command as root or as Portico's user"}
	}
	return err
}

// refused puts an answer in words that is neither what was asked for nor an error of the API.
func (c *Client) refused(status int, text string) error {
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("the Portico at %s accepts this request only with a token or over its socket: give "+
			"--token-file, or --admin with the socket", c.where)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400:
		return fmt.Errorf("the program at %s does not know this request: it is another version of Portico, or "+
			"not Portico", c.where)
	case text == "":
		text = strings.ToLower(http.StatusText(status))
	}
	return fmt.Errorf("the Portico at %s refuses the request: %s", c.where, text)
}
