package client

import (
	"crypto/x509"
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

// Default returns the address to use if none is given: the socket, or DefaultURL if the socket cannot be opened. Then
// err says why it cannot.
func Default(socket string) (where string, err error) {
	if _, err := os.Stat(socket); err != nil {
		return DefaultURL, fmt.Errorf("%s: %w", socket, wordsOf(err))
	}
	return socket, nil
}

// CheckAddress refuses a URL with another scheme than http or https, and HOST:PORT with a user part. Any other text
// can be the path of a socket or HOST:PORT.
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

// afterUser returns what follows the last "@" of an address, because a password may contain "@".
func afterUser(where string) (address string, found bool) {
	at := strings.LastIndexByte(where, '@')
	return where[at+1:], at >= 0
}

// Shown returns an address or URL of a Portico for messages, without a user part.
func Shown(where string) string {
	if strings.Contains(where, "://") {
		return secret.URL(where)
	}
	return where
}

// ErrUnreachable is the error of a request that no Portico has answered.
var ErrUnreachable = errors.New("no Portico answers")

// baseOf returns the base URL of a URL or of HOST:PORT. Beyond loopback, Portico uses TLS. If a file has that name, it
// is a socket.
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

// unreachable returns the error for a request without an answer.
func (c *Client) unreachable(err error) error {
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.where, wordsOf(secret.WithoutURL(err)))
}

// said is an error with a text of its own.
type said struct {
	error
	words string
}

func (s said) Error() string { return s.words }
func (s said) Unwrap() error { return s.error }

// wordsOf explains the usual errors of connections.
func wordsOf(err error) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return said{err, "the socket does not exist; is Portico running? --admin or PORTICO_ADMIN selects another one"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return said{err, "nothing listens there; is Portico running? --admin or PORTICO_ADMIN selects another one"}
	case errors.As(err, &unknown):
		return said{err, "its certificate is not of a CA that this machine trusts; --ca or PORTICO_CA names one"}
	case errors.Is(err, fs.ErrPermission):
		return said{err, "permission denied; run the command as root or as Portico's user"}
	}
	return err
}

// refused explains an answer that is neither a result nor an error of the API.
func (c *Client) refused(status int, text string) error {
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("the Portico at %s accepts this request only with a token, a client certificate or "+
			"over its socket: give --token-file, --cert, or --admin with the socket", c.where)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400:
		return fmt.Errorf("the program at %s does not know this request: it is another version of Portico, or "+
			"not Portico", c.where)
	case text == "":
		text = strings.ToLower(http.StatusText(status))
	}
	return fmt.Errorf("the Portico at %s refuses the request: %s", c.where, text)
}
