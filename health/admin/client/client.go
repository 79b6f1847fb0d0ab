// Package client sends requests to the admin API of a running Portico, over its socket or its address. The command
// line uses it. It knows how to send a request and how to read an error; callers choose the requests.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"portico/backend/secret"
	"portico/health/admin"
)

// Where to find Portico if no address is given.
const (
	DefaultSocket = "/run/portico/admin.sock"
	DefaultURL    = "http://127.0.0.1:8143"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// Client sends requests to one Portico. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	base  string // scheme and host
	where string // for messages
	token secret.Value
}

// Credentials are for a URL and HOST:PORT; the zero value is none.
type Credentials struct {
	Token secret.Value
	TLS   *tls.Config // the CA certificates to trust, and a client certificate; nil: the system's, and none
}

// New returns a client of the Portico at a Unix socket, a URL or HOST:PORT. It opens no connection.
func New(where string, by Credentials) *Client {
	if base, isURL := baseOf(where); isURL {
		c := &Client{http: &http.Client{CheckRedirect: asItIs}, base: base, where: secret.URL(where), token: by.Token}
		if by.TLS != nil {
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.TLSClientConfig = by.TLS
			c.http.Transport = transport
		}
		return c
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", where)
	}
	// Each request has its own connection: the server accepts a limited number, and a caller with one request would
	// hold one for minutes.
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	return &Client{http: &http.Client{Transport: transport, CheckRedirect: asItIs}, base: "http://localhost",
		where: where}
}

// asItIs follows no redirections: Portico sends none.
func asItIs(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Of returns a client of another node. This Portico forwards the requests.
func (c *Client) Of(node string) *Client {
	other := *c
	other.base += "/nodes/" + url.PathEscape(node)
	return &other
}

// Get reads the answer at a path, such as admin.PathServers, into a value.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

// Post sends body to a path and reads the answer into a value.
func (c *Client) Post(ctx context.Context, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, bytes.NewReader(text), into)
}

// Text reads a page as text, whatever its status.
func (c *Client) Text(ctx context.Context, path string) (status int, text string, err error) {
	request, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, "", c.unreachable(err)
	}
	defer response.Body.Close()
	body, err := c.read(response)
	return response.StatusCode, string(body), err
}

// Stream returns the answer at path as a stream. It ends with the context. The caller closes it.
func (c *Client) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	response, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader, into any) error {
	response, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := c.read(response)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the program at %s is another version of Portico, or not Portico: %w", c.where, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask Portico at %s: %w", c.where, secret.WithoutURL(err))
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	return request, nil
}

// ask sends a request. If the answer is a failure, ask returns an error with its kind; see admin.KindOf.
func (c *Client) ask(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, err := c.read(response)
	if err != nil {
		return nil, err
	}
	var problem admin.Problem // "error" is all that older nodes send
	if json.Unmarshal(text, &problem) == nil && cmp.Or(problem.Detail, problem.Error) != "" &&
		problem.Kind != admin.KindUnauthenticated {
		return nil, admin.Of(problem.Kind, errors.New(cmp.Or(problem.Detail, problem.Error)))
	}
	return nil, c.refused(response.StatusCode, strings.TrimSpace(string(text)))
}

// read reads a whole answer.
func (c *Client) read(response *http.Response) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the answer of Portico at %s was cut off: %w", c.where, secret.WithoutURL(err))
	}
	return text, nil
}
