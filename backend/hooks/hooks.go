// Package hooks tells whatever keeps mailboxes' storage, by a program or a call over HTTP, which copy of a database is to be active: the
// hooks of package backend's ActiveManager.
//
// What is told comes from the configuration file alone. The package knows nothing of sessions and of why a database moves.
package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"portico/backend/secret"
)

// maxSaid is how much of what a hook says is kept, in bytes.
const maxSaid = 400

// The two things that a hook is told.
const (
	deactivate = "deactivate"
	activate   = "activate"
)

// Command runs a program for each call: with the arguments that it has, and four more: activate or deactivate, the database, the mailbox server
// that had the active copy, and the one that is to have it. The environment has them as PORTICO_PHASE, PORTICO_DATABASE, PORTICO_FROM and
// PORTICO_TO, and PATH. Done is exit status 0. No shell is involved.
type Command struct {
	Program []string
	Timeout time.Duration // then it is killed, with what it has started
}

// Deactivate implements backend.Hook.
func (c *Command) Deactivate(ctx context.Context, database, from, to string) error {
	return c.run(ctx, deactivate, database, from, to)
}

// Activate implements backend.Hook.
func (c *Command) Activate(ctx context.Context, database, from, to string) error {
	return c.run(ctx, activate, database, from, to)
}

func (c *Command) run(ctx context.Context, phase, database, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	args := append(append([]string{}, c.Program[1:]...), phase, database, from, to)
	cmd := exec.CommandContext(ctx, c.Program[0], args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PORTICO_PHASE=" + phase, "PORTICO_DATABASE=" + database, "PORTICO_FROM=" + from, "PORTICO_TO=" + to}
	said := &bounded{}
	cmd.Stdout, cmd.Stderr = said, said
	inGroup(cmd)
	cmd.WaitDelay = time.Second // a grandchild may keep the output open
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", c.Program[0], err, said)
	}
	return nil
}

// HTTP posts JSON for each call: {"phase": "activate", "database": ..., "from": ..., "to": ...}. Done is a status of 200 to 299. Redirects
// are not followed.
type HTTP struct {
	URL     string
	TLS     *tls.Config
	Token   secret.Value // bearer token; "" for none
	Timeout time.Duration
}

// Deactivate implements backend.Hook.
func (h *HTTP) Deactivate(ctx context.Context, database, from, to string) error {
	return h.post(ctx, deactivate, database, from, to)
}

// Activate implements backend.Hook.
func (h *HTTP) Activate(ctx context.Context, database, from, to string) error {
	return h.post(ctx, activate, database, from, to)
}

func (h *HTTP) post(ctx context.Context, phase, database, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"phase": phase, "database": database, "from": from, "to": to})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if h.Token != "" {
		request.Header.Set("Authorization", "Bearer "+h.Token.Reveal())
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: h.TLS, DisableKeepAlives: true}, // calls are rare
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said := &bounded{}
	io.CopyN(said, response.Body, maxSaid)
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %d%s", request.URL.Redacted(), response.StatusCode, said)
	}
	return nil
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ text []byte }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxSaid - len(b.text); room > 0 {
		b.text = append(b.text, p[:min(len(p), room)]...)
	}
	return len(p), nil
}

// String returns what was said as an end of an error: in one line, printable.
func (b *bounded) String() string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, strings.TrimSpace(string(b.text)))
	if text == "" {
		return ""
	}
	return ": " + text
}
