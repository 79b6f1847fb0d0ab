// Package httpdir asks a web server who a user is, in the protocol of nginx's mail module (auth_http): the question stands in
// headers of a GET request, the answer in headers of the response. Servers written for nginx need no change; unlike nginx it speaks
// TLS, keeps connections, and has several addresses to ask.
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
)

// Bounds of an answer, in bytes. Its body means nothing.
const (
	maxHeader = 16 << 10
	maxBody   = 4 << 10
	maxReason = 200
)

// Options of a Directory.
type Options struct {
	URLs []string // http or https, asked in turn, the one that answered last first; at least one
	TLS  *tls.Config
	// SendPassword has the server judge the password too, as nginx has it. Its answers are then worth nothing for the next sign-in.
	SendPassword bool
	Header       http.Header // sent with each question, such as a secret that the server knows
	InFlight     int         // connections kept for each URL
}

// Directory is a directory.Source. It is safe for concurrent use.
type Directory struct {
	urls   []string
	opt    Options
	client *http.Client
	first  atomic.Int32 // the URL that answered last
}

// New returns a Directory. It opens no connection.
func New(o Options) (*Directory, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("no URL")
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%q is no URL of http or https", text)
		}
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

// Lookup implements directory.Source. An URL that does not answer, or not as it should, is passed over for the next.
func (d *Directory) Lookup(ctx context.Context, q directory.Query) (directory.Entry, error) {
	var failures []error
	first := int(d.first.Load())
	for i := range d.urls {
		at := (first + i) % len(d.urls)
		entry, err := d.ask(ctx, d.urls[at], q)
		if !errors.Is(err, directory.ErrUnavailable) {
			d.first.Store(int32(at))
			return entry, err
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return directory.Entry{}, errors.Join(failures...)
}

// ask asks one URL.
func (d *Directory) ask(ctx context.Context, to string, q directory.Query) (directory.Entry, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return directory.Entry{}, directory.Unavailable("http", err)
	}
	request.Header = d.question(q)
	response, err := d.client.Do(request)
	if err != nil {
		return directory.Entry{}, directory.Unavailable("http", withoutURL(err))
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, maxBody) // so that the connection can be used again
	if response.StatusCode != http.StatusOK {
		return directory.Entry{}, directory.Unavailable("http", fmt.Errorf("%s answers %s", host(to), response.Status))
	}
	return answer(response.Header)
}

// question is what nginx's mail module sends. Values are escaped as it does it: everything that is no printable ASCII, blanks and
// percent signs.
func (d *Directory) question(q directory.Query) http.Header {
	h := d.opt.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	method := "none"
	if q.Password != "" {
		method = "plain"
	}
	h.Set("Auth-Method", method)
	h.Set("Auth-User", escape(q.User))
	h.Set("Auth-Pass", "")
	if d.opt.SendPassword {
		h.Set("Auth-Pass", escape(q.Password.Reveal()))
	}
	h.Set("Auth-Protocol", "imap")
	h.Set("Auth-Login-Attempt", strconv.Itoa(max(q.Attempt, 1)))
	if q.Client.IsValid() {
		h.Set("Client-IP", q.Client.Addr().String())
		h.Set("Client-Host", "[UNAVAILABLE]")
	}
	if q.TLS {
		h.Set("Auth-SSL", "on")
	}
	return h
}

// answer reads what nginx's mail module reads: Auth-Status, Auth-Server, Auth-Port, Auth-User; and of our own Auth-Database,
// and a mailbox server's name for Auth-Server.
func answer(h http.Header) (directory.Entry, error) {
	status := h.Get("Auth-Status")
	switch {
	case status == "":
		return directory.Entry{}, directory.Unavailable("http", errors.New("the answer has no Auth-Status"))
	case strings.EqualFold(status, "OK"):
	case strings.Contains(strings.ToLower(status), "temporary"):
		return directory.Entry{}, directory.Unavailable("http", errors.New("the server has a temporary problem"))
	default:
		return directory.Entry{}, &directory.RefusedError{Reason: clean(status)}
	}
	entry := directory.Entry{User: h.Get("Auth-User"), Database: h.Get("Auth-Database")}
	server, port := h.Get("Auth-Server"), h.Get("Auth-Port")
	switch {
	case entry.Database != "":
	case server == "":
		return entry, directory.Unavailable("http", errors.New("the answer names no server"))
	case port == "":
		entry.Server = server
	default:
		entry.Address = net.JoinHostPort(strings.Trim(server, "[]"), port)
	}
	return entry, nil
}

// escape makes a value fit to stand in a header.
func escape(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// clean makes a server's text fit for a log.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), maxReason)]
}

// withoutURL drops the URL from an error, since it may hold a secret.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the server"
	}
	return u.Host
}
