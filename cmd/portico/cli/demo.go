package cli

import (
	"errors"
	"fmt"
	"os/signal"

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

Exit status: 0 the demo has run, 1 a port is in use, 2 the demo could not start.`,
		Args: cobra.NoArgs,
	}
	var o demo.Options
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "", "`folder` for its files; the default is a temporary folder, removed at the end")
	flags.Uint16Var(&o.IMAPPort, "imap-port", demo.IMAPPort, "`port` for IMAP with STARTTLS; 0 for any free port")
	flags.Uint16Var(&o.IMAPSPort, "imaps-port", demo.IMAPSPort, "`port` for IMAP over TLS; 0 for any free port")
	flags.Uint16Var(&o.HTTPPort, "http-port", demo.HTTPPort, "`port` for HTTP; 0 for any free port")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signals := notifySignals()
		defer signal.Stop(signals)
		err := demo.Run(cmd.Context(), o, cmd.OutOrStdout(), func(file string, started demo.Started) error {
			return node.ServeDemo(file, signals, cmd.ErrOrStderr(), started)
		})
		if taken := demo.PortsTaken(nil); errors.As(err, &taken) {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: %v\n", taken)
			return errBadNews
		}
		return err
	}
	cmd.AddCommand(newDemoBreak(), newDemoMend())
	return cmd
}
