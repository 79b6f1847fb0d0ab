// Package hooks has others do what Portico cannot do itself, by a program or a call over HTTP: it tells whatever
// keeps mailboxes' storage which copy of a database is to be active, as package backend's ActiveManager wants it, and
// it restarts mailbox servers for package recovery, and makes sure that a node of the site serves nobody.
//
// What is run comes from the configuration file alone. The package knows nothing of sessions and of why something is
// to be done.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/backend/secret"
)

// maxSaid is how much of what a hook says is kept, in bytes.
const maxSaid = 400

// What a hook is told.
const (
	deactivate = "deactivate"
	activate   = "activate"
	restart    = "restart"
	fence      = "fence"
)

// field is one thing that a hook is told. A command gets the values as arguments and, under PORTICO_ and the name, in
// its environment.
type field struct{ name, value string }

func ofDatabase(phase, database, from, to string) []field {
	return []field{{"phase", phase}, {"database", database}, {"from", from}, {"to", to}}
}

func ofServer(server string) []field { return []field{{"phase", restart}, {"server", server}} }

func ofNode(node string) []field { return []field{{"phase", fence}, {"node", node}} }

func ofInstance(instance uint64) field { return field{"instance", strconv.FormatUint(instance, 10)} }

// Command runs a program for each call, with the arguments that it has and more. For a database these are activate or
// deactivate, the database, the mailbox server that had the active copy, and the one that is to have it; the
// environment has them as PORTICO_PHASE, PORTICO_DATABASE, PORTICO_FROM and PORTICO_TO. For a mailbox server they are
// restart and its name: PORTICO_PHASE and PORTICO_SERVER; PORTICO_INSTANCE is the number of the step in the recovery
// log, so that a program can tell whether it has done that already. The environment has PATH beside. Done is exit
// status 0. No shell is involved.
type Command struct {
	Program []string
	Timeout time.Duration // then it is killed, with what it has started
}

// Deactivate implements backend.Hook.
func (c *Command) Deactivate(ctx context.Context, database, from, to string) error {
	return c.run(ctx, ofDatabase(deactivate, database, from, to))
}

// Activate implements backend.Hook.
func (c *Command) Activate(ctx context.Context, database, from, to string) error {
	return c.run(ctx, ofDatabase(activate, database, from, to))
}

// Restart restarts a mailbox server, or its service: whatever the program does.
func (c *Command) Restart(ctx context.Context, server string, instance uint64) error {
	return c.run(ctx, ofServer(server), ofInstance(instance))
}

// Fence makes sure that a node of the site serves nobody, as by cutting its power.
func (c *Command) Fence(ctx context.Context, node string) error { return c.run(ctx, ofNode(node)) }

// run runs the program. More is in its environment alone.
func (c *Command) run(ctx context.Context, told []field, more ...field) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Program[0], c.Program[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for _, f := range told {
		cmd.Args = append(cmd.Args, f.value)
	}
	for _, f := range slices.Concat(told, more) {
		cmd.Env = append(cmd.Env, "PORTICO_"+strings.ToUpper(f.name)+"="+f.value)
	}
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

// HTTP posts JSON for each call: {"phase": "activate", "database": ..., "from": ..., "to": ...}, or {"phase":
// "restart", "server": ..., "instance": ...}, or {"phase": "fence", "node": ...}. Done is a status of 200 to 299.
// Redirects are not followed.
type HTTP struct {
	URL     string
	TLS     *tls.Config
	Token   secret.Value // bearer token; "" for none
	Timeout time.Duration
}

// Deactivate implements backend.Hook.
func (h *HTTP) Deactivate(ctx context.Context, database, from, to string) error {
	return h.post(ctx, ofDatabase(deactivate, database, from, to))
}

// Activate implements backend.Hook.
func (h *HTTP) Activate(ctx context.Context, database, from, to string) error {
	return h.post(ctx, ofDatabase(activate, database, from, to))
}

// Restart restarts a mailbox server, or its service: whatever stands behind the URL does.
func (h *HTTP) Restart(ctx context.Context, server string, instance uint64) error {
	return h.post(ctx, append(ofServer(server), ofInstance(instance)))
}

// Fence makes sure that a node of the site serves nobody: whatever stands behind the URL does.
func (h *HTTP) Fence(ctx context.Context, node string) error { return h.post(ctx, ofNode(node)) }

func (h *HTTP) post(ctx context.Context, told []field) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	words := make(map[string]string)
	for _, f := range told {
		words[f.name] = f.value
	}
	body, err := json.Marshal(words)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", secret.URL(h.URL), secret.WithoutURL(err))
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
		return fmt.Errorf("%s: %w", secret.URL(h.URL), secret.WithoutURL(err))
	}
	defer response.Body.Close()
	said := &bounded{}
	io.CopyN(said, response.Body, maxSaid)
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %d%s", secret.URL(h.URL), response.StatusCode, said)
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
