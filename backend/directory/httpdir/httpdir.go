// Package httpdir asks a web server who a user is, in the protocol of nginx's mail module (auth_http): the question
// stands in headers of a GET request, the answer in headers of the response. Servers written for nginx need no change;
// unlike nginx it speaks TLS, keeps connections, and has several addresses to ask.
//
// It knows nothing of sign-in. What it is asked with and what it answers is package directory's.
package httpdir

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"portico/backend/directory"
	"portico/backend/secret"
)

// Bounds of an answer, in bytes. Its body means nothing.
const (
	maxHeader = 16 << 10
	maxBody   = 4 << 10
)

// Options of a Directory.
type Options struct {
	URLs []string // http or https, asked in turn, the one that answered last first; at least one
	TLS  *tls.Config
	// SendPassword has the server judge the password too, as nginx has it. Its answers are then worth nothing for the
	// next sign-in.
	SendPassword bool
	Header       http.Header // sent with each question, such as a secret that the server knows
	InFlight     int         // connections kept for each URL; at least 1
}

// Directory is a directory.Source and a directory.Verifier. It is safe for concurrent use.
type Directory struct {
	urls   []string
	opt    Options
	client *http.Client
	first  atomic.Int32 // the URL that answered last
}

// New returns a Directory. It opens no connection.
func New(o Options) (*Directory, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("url is missing")
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%q is not an http or https URL", secret.URL(text))
		}
	}
	if o.InFlight < 1 {
		return nil, fmt.Errorf("InFlight must be at least 1, is %d", o.InFlight)
	}
	transport := &http.Transport{
		TLSClientConfig: o.TLS, MaxIdleConnsPerHost: o.InFlight, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // who is asked is configured, and nobody else
	}}
	return &Directory{urls: o.URLs, opt: o, client: client}, nil
}

// Close closes the connections that are kept.
func (d *Directory) Close() { d.client.CloseIdleConnections() }

// Lookup implements directory.Source. The password goes along only with SendPassword.
func (d *Directory) Lookup(ctx context.Context, q directory.Query) (directory.Entry, error) {
	password := ""
	if d.opt.SendPassword {
		password = q.Password.Reveal()
	}
	header, err := d.tour(ctx, d.question(q, q.User, password))
	if err != nil {
		return directory.Entry{}, err
	}
	return entryOf(header)
}

// Verify implements directory.Verifier. It sends the password whatever SendPassword says. A refusal that gives no
// Auth-Result is that of a wrong password.
func (d *Directory) Verify(ctx context.Context, q directory.Query) (string, error) {
	if q.Password == "" {
		return "", directory.ErrBadCredential
	}
	header, err := d.tour(ctx, d.question(q, q.Login, q.Password.Reveal()))
	var refused *directory.RefusedError
	if errors.As(err, &refused) && header.Get("Auth-Result") == "" {
		return "", directory.ErrBadCredential
	}
	return q.Login, err
}

// tour asks one URL after the other until one can tell. It returns the answer's header, with the error it stands for.
func (d *Directory) tour(ctx context.Context, question http.Header) (http.Header, error) {
	var failures []error
	first := int(d.first.Load())
	for i := range d.urls {
		at := (first + i) % len(d.urls)
		header, err := d.ask(ctx, d.urls[at], question)
		if !errors.Is(err, directory.ErrUnavailable) {
			d.first.Store(int32(at))
			return header, err
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

// ask asks one URL. The status line tells only of trouble, as nginx does not look at it: what counts is Auth-Status.
func (d *Directory) ask(ctx context.Context, to string, question http.Header) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, directory.Unavailable("http", secret.WithoutURL(err))
	}
	request.Header = question
	response, err := d.client.Do(request)
	if err != nil {
		return nil, directory.Unavailable("http", secret.WithoutURL(err))
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, maxBody) // so that the connection can be used again
	if code := response.StatusCode; code >= 500 || code/100 == 3 {
		return nil, directory.Unavailable("http", fmt.Errorf("%s answers %d", host(to), code))
	}
	return response.Header, status(response.Header)
}

// question is what nginx's mail module sends of an IMAP client.
func (d *Directory) question(q directory.Query, user, password string) http.Header {
	h := d.opt.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("Auth-Method", method(q))
	h.Set("Auth-User", escape(user))
	h.Set("Auth-Pass", escape(password))
	h.Set("Auth-Protocol", "imap")
	h.Set("Auth-Login-Attempt", strconv.Itoa(max(q.Attempt, 1)))
	if q.Client.IsValid() {
		h.Set("Client-IP", q.Client.Addr().Unmap().String())
	}
	if q.TLS {
		h.Set("Auth-SSL", "on")
	}
	return h
}

// method is nginx's word for how the client signs in; none where there is no password to judge.
func method(q directory.Query) string {
	switch {
	case q.Mechanism == "EXTERNAL":
		return "external"
	case q.Password == "":
		return "none"
	}
	return "plain"
}

// status reads what nginx's mail module reads of a verdict: Auth-Status, and Auth-Error-Code, whose 4 at the beginning
// means "try again"; and of our own Auth-Result.
func status(h http.Header) error {
	text := h.Get("Auth-Status")
	switch result := h.Get("Auth-Result"); {
	case text == "":
		return directory.Unavailable("http", errors.New("the answer has no Auth-Status"))
	case strings.EqualFold(text, "OK"):
		return nil
	case result == "unknown":
		return directory.ErrNotFound
	case result == "unavailable", text == "WAIT", strings.HasPrefix(h.Get("Auth-Error-Code"), "4"),
		result == "" && strings.Contains(strings.ToLower(text), "temporary"):
		return directory.Unavailable("http", errors.New("the directory reports a temporary problem"))
	}
	return directory.Refused(text)
}

// entryOf reads where the mailbox is: Auth-Server, Auth-Port, Auth-User; and of our own Auth-Database, Auth-Mode,
// Auth-Max-Connections, and a mailbox server's name for Auth-Server.
func entryOf(h http.Header) (directory.Entry, error) {
	entry := directory.Entry{User: h.Get("Auth-User"), Database: h.Get("Auth-Database")}
	for key, header := range map[string]string{"mode": "Auth-Mode", "max_connections": "Auth-Max-Connections"} {
		if value := h.Get(header); value != "" {
			if err := entry.Set(key, value); err != nil {
				return directory.Entry{}, directory.Unavailable("http", err)
			}
		}
	}
	server, port := strings.Trim(h.Get("Auth-Server"), "[]"), h.Get("Auth-Port")
	switch {
	case entry.Database != "":
	case server == "":
		return directory.Entry{}, directory.Unavailable("http", errors.New("the answer names no server"))
	case port == "":
		entry.Server = server
	default:
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return directory.Entry{}, directory.Unavailable("http", errors.New("the answer's Auth-Port is not a port"))
		}
		entry.Address = net.JoinHostPort(server, port)
	}
	return entry, nil
}

// escape makes a value fit to stand in a header, just as nginx does it: control characters, blanks and percent signs
// by number, and bytes beyond ASCII as they are. Alone DEL, which nginx leaves, is no byte of a header and goes by
// number too.
func escape(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if c <= ' ' || c == 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the server"
	}
	return u.Host
}
