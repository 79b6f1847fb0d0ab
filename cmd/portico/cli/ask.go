package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"portico/backend/secret"
	"portico/configs"
	"portico/health/admin"
	"portico/health/admin/client"
	"portico/health/admin/table"
)

// asking is what commands that ask a running Portico have in common.
type asking struct {
	*output
	admin     string // --admin
	tokenFile string
	node      string // --node: another Portico
	server    string // --server: a mailbox server, or another Portico where that is an alias

	notes  io.Writer // what people should know beside the results
	warned bool      // that it falls back
}

// askFlags gives a command those flags, and forms of output beside the usual ones.
func askFlags(cmd *cobra.Command, forms ...table.Form) *asking {
	a := &asking{output: outputFlags(cmd, forms...)}
	flags := cmd.Flags()
	flags.StringVar(&a.admin, "admin", "",
		"`socket, URL or HOST:PORT` of the Portico to ask; the default is PORTICO_ADMIN, then "+client.DefaultSocket+
			", then "+client.DefaultURL)
	flags.StringVar(&a.tokenFile, "token-file", "", "`file` with the token, for a URL that needs one")
	flags.StringVar(&a.node, "node", "", "ask this other Portico, by its `name` under nodes in the configuration")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) { a.notes = cmd.ErrOrStderr() }
	return a
}

// note tells people something beside the results.
func (a *asking) note(format string, args ...any) {
	fmt.Fprintf(a.notes, "portico: %s\n", visibleText(fmt.Sprintf(format, args...)))
}

// get reads what the running Portico shows at a path.
func (a *asking) get(ctx context.Context, path string, into any) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	return c.Get(ctx, path, into)
}

// post asks for a change, and reads what came of it.
func (a *asking) post(ctx context.Context, path string, body, into any) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	return c.Post(ctx, path, body, into)
}

// change asks for a change, and prints from what to what it went.
func (a *asking) change(cmd *cobra.Command, path string, body any) error {
	var change admin.Change
	if err := a.post(cmd.Context(), path, body, &change); err != nil {
		return err
	}
	return a.changed(cmd, change)
}

// client returns who to ask.
func (a *asking) client(ctx context.Context) (*client.Client, error) {
	if server, err := a.serverOrNode(ctx); err != nil {
		return nil, err
	} else if server != "" {
		return nil, fmt.Errorf("%s is a mailbox server: --server takes another Portico here, as --node does", server)
	}
	var token secret.Value
	if a.tokenFile != "" {
		text, err := configs.ReadToken(a.tokenFile)
		if err != nil {
			return nil, err
		}
		token = secret.Value(text)
	}
	where := a.where()
	if err := client.CheckAddress(where); err != nil {
		return nil, fmt.Errorf("--admin or PORTICO_ADMIN: %w", err)
	}
	asked := client.New(where, token)
	if a.node != "" {
		asked = asked.Of(a.node)
	}
	return asked, nil
}

// where returns where Portico is. That it falls back to another place is said, since another Portico may listen there.
func (a *asking) where() string {
	if where := cmp.Or(a.admin, os.Getenv("PORTICO_ADMIN")); where != "" {
		return where
	}
	where, missing := client.Default(client.DefaultSocket)
	if missing != nil && !a.warned {
		a.warned = true
		a.note("%v: asking %s", missing, where)
	}
	return where
}
