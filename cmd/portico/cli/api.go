package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/client"
	"portico/health/admin/table"
)

// apiCommand is a command that calls the admin API of a running Portico: the flags of such commands, their requests,
// and the notes that they write to standard error.
type apiCommand struct {
	*output
	credentials
	admin  string // --admin
	node   string // --node: another Portico
	site   bool   // without --node it asks all nodes; see site.go
	server string // --server: a mailbox server, or another Portico where that is an alias

	notes  io.Writer
	noted  []string // nodes without an answer that were named
	warned bool     // that it asks at the default URL instead of the default socket
}

// apiFlags gives a command the flags of an apiCommand. forms are forms of output beside the usual ones.
func apiFlags(cmd *cobra.Command, forms ...table.Form) *apiCommand {
	a := &apiCommand{output: outputFlags(cmd, forms...)}
	flags := cmd.Flags()
	flags.StringVar(&a.admin, "admin", "",
		"`socket, URL or HOST:PORT` of the Portico to ask; the default is PORTICO_ADMIN, then "+client.DefaultSocket+
			", then "+client.DefaultURL)
	a.credentials.flags(flags)
	flags.StringVar(&a.node, "node", "", "ask this other Portico, by its `name` in the cluster or under nodes in the configuration")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) { a.notes = cmd.ErrOrStderr() }
	return a
}

// note writes a line to standard error.
func (a *apiCommand) note(format string, args ...any) {
	fmt.Fprintf(a.notes, "portico: %s\n", visibleText(fmt.Sprintf(format, args...)))
}

// get reads the answer at a path of the API.
func (a *apiCommand) get(ctx context.Context, path string, into any) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	return c.Get(ctx, path, into)
}

// post sends body to a path of the API, and reads the answer.
func (a *apiCommand) post(ctx context.Context, path string, body, into any) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	return c.Post(ctx, path, body, into)
}

// change sends a change, and prints the old and the new value.
func (a *apiCommand) change(cmd *cobra.Command, path string, body any) error {
	var change admin.Change
	if err := a.post(cmd.Context(), path, body, &change); err != nil {
		return err
	}
	return a.printChanged(cmd, change)
}

// client returns a client for the Portico that the flags name.
func (a *apiCommand) client(ctx context.Context) (*client.Client, error) {
	if server, err := a.serverOrNode(ctx); err != nil {
		return nil, err
	} else if server != "" {
		return nil, fmt.Errorf("%s is a mailbox server: --server takes another Portico here, as --node does", server)
	}
	by, err := a.credentials.read()
	if err != nil {
		return nil, err
	}
	where := a.where()
	if err := client.CheckAddress(where); err != nil {
		return nil, fmt.Errorf("--admin or PORTICO_ADMIN: %w", err)
	}
	asked := client.New(where, by)
	if a.node != "" {
		asked = asked.Of(a.node)
	}
	return asked, nil
}

// where returns the address of Portico. If it falls back to the default URL, it says so once, because another Portico
// may listen there.
func (a *apiCommand) where() string {
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
