package cli

import (
	"context"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"portico/health/admin"
)

// aliasFlag gives a command --server as another name of --node, as Exchange's cmdlet has it.
func (a *apiCommand) aliasFlag(cmd *cobra.Command) *apiCommand {
	cmd.Flags().StringVar(&a.server, "server", "", "same as --node, for a `name` that is not a mailbox server's")
	return a
}

// serverOrNode resolves --server. It returns the name of a mailbox server. If --server names another Portico, further
// requests go there.
func (a *apiCommand) serverOrNode(ctx context.Context) (mailboxServer string, err error) {
	if a.server == "" {
		return "", nil
	}
	var names admin.Names
	name := a.server
	a.server = ""
	if err := a.get(ctx, admin.PathNames, &names); err != nil {
		return "", err
	}
	switch {
	case slices.Contains(names.Servers, name):
		return name, nil
	case (slices.Contains(names.Nodes, name) || name == names.Node) && a.node == "":
		a.node = name
		return "", nil
	}
	return "", admin.NoSuch("mailbox server or other Portico", name, slices.Concat(names.Servers, names.Nodes))
}

// about adds a mailbox server to a path of the API, if there is one.
func about(path, mailboxServer string) string {
	if mailboxServer == "" {
		return path
	}
	return path + "?server=" + url.QueryEscape(mailboxServer)
}

// aboutServer sets the help text of --server for commands that show what concerns a mailbox server.
func aboutServer(cmd *cobra.Command) {
	cmd.Flags().Lookup("server").
		Usage = "only what concerns this mailbox `server`; or another Portico, for the name of a node that " +
		"is not a mailbox server's"
}
