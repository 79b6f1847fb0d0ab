package cli

import (
	"errors"
	"fmt"
	"os/signal"
	"strconv"
	"syscall"

	"portico/cmd/portico/demo"

	"github.com/spf13/cobra"
)

func newDemo(node Node) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the proxy with built-in mailbox servers, users and mail",
		Long: `Demo runs two mailbox servers in memory and the proxy in front of them, all on
loopback, and prints commands to paste. Each database has a copy on each server.
You need not install anything. When the demo ends it removes its files, unless
you give --dir. It refuses portico service upgrade, because the mailbox servers
would end with its process.

With --nodes, Portico runs several times, each in a process of its own, and the
nodes agree over etcd as one site. That needs the program etcd, for example from
the package etcd-server. The ports of the further nodes follow those of the
first. The nodes log to files in the folder. See docs/cluster.md.

Exit status: 0 the demo has run, 1 a port is in use, 2 the demo could not start.`,
		Args: cobra.NoArgs,
	}
	var o demo.Options
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "", "`folder` for its files; the default is a temporary folder, removed at the end")
	flags.Uint16Var(&o.IMAPPort, "imap-port", demo.IMAPPort, "`port` for IMAP with STARTTLS; 0 for any free port")
	flags.Uint16Var(&o.IMAPSPort, "imaps-port", demo.IMAPSPort, "`port` for IMAP over TLS; 0 for any free port")
	flags.Uint16Var(&o.HTTPPort, "http-port", demo.HTTPPort, "`port` for HTTP; 0 for any free port")
	flags.IntVar(&o.Nodes, "nodes", 1, "`number` of Porticos that form one site, up to "+strconv.Itoa(demo.MaxNodes))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Nodes < 1 || o.Nodes > demo.MaxNodes {
			return fmt.Errorf("--nodes must be 1 to %d, not %d", demo.MaxNodes, o.Nodes)
		}
		if o.Nodes > 1 {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return portsTaken(cmd, demo.RunNodes(ctx, o, cmd.OutOrStdout()))
		}
		signals := notifySignals()
		defer signal.Stop(signals)
		serve := func(file string, started demo.Started) error {
			return node.ServeDemo(file, signals, cmd.ErrOrStderr(), started)
		}
		return portsTaken(cmd, demo.Run(cmd.Context(), o, cmd.OutOrStdout(), serve))
	}
	cmd.AddCommand(newDemoBreak(), newDemoMend())
	return cmd
}

// portsTaken prints which ports of a demo are in use, if that is the error.
func portsTaken(cmd *cobra.Command, err error) error {
	if taken := demo.PortsTaken(nil); errors.As(err, &taken) {
		fmt.Fprintf(cmd.ErrOrStderr(), "portico: %v\n", taken)
		return errBadNews
	}
	return err
}
