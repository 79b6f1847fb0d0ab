package main

import (
	"context"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
)

// serverOrNode tells what --server names. A mailbox server is returned. Another Portico is asked from then on.
func (a *asking) serverOrNode(ctx context.Context) (mailboxServer string, err error) {
	name := a.server
	if name == "" {
		return "", nil
	}
	here := *a
	here.server = ""
	var all []admin.MonitorRow
	if err := here.get(ctx, "/api/v1/health", &all); err != nil {
		return "", err
	}
	if slices.ContainsFunc(all, func(m admin.MonitorRow) bool { return m.Name == health.ImapSelfTestMonitor && m.TargetResource == name }) {
		a.server = ""
		return name, nil
	}
	return "", nil
}

// about is a path of the API with the mailbox server that it is about, if there is one.
func about(path, mailboxServer string) string {
	if mailboxServer == "" {
		return path
	}
	return path + "?server=" + url.QueryEscape(mailboxServer)
}

// aboutServer says of --server what it is for a command that shows what concerns a mailbox server.
func aboutServer(cmd *cobra.Command) {
	cmd.Flags().Lookup("server").Usage = "only what concerns this mailbox `server`; or another Portico, for a name under nodes in the configuration that no mailbox server has"
}
