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
		Short: "Run the proxy with mailbox servers, users and mail of its own",
		Long: "Demo runs two mailbox servers in memory and the proxy in front of them, all on loopback, and prints " +
			"lines to\n" +
			"paste. Each database has a copy on each server. Nothing needs to be installed, and nothing is left " +
			"when the demo\n" +
			"ends, unless --dir is given.\n\n" +
			"Exit status: 0 the demo has run, 1 a port is taken, 2 it could not be started.",
		Args: cobra.NoArgs,
	}
	var o demo.Options
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "", "`folder` for its files; a temporary one, removed at the end, by default")
	flags.Uint16Var(&o.IMAPPort, "imap-port", demo.IMAPPort, "`port` for IMAP with STARTTLS; 0 for a free one")
	flags.Uint16Var(&o.IMAPSPort, "imaps-port", demo.IMAPSPort, "`port` for IMAP over TLS; 0 for a free one")
	flags.Uint16Var(&o.HTTPPort, "http-port", demo.HTTPPort, "`port` for HTTP; 0 for a free one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signals := notifySignals()
		defer signal.Stop(signals)
		err := demo.Run(cmd.Context(), o, cmd.OutOrStdout(), func(file string, started demo.Started) error {
			return node.Serve(file, signals, cmd.ErrOrStderr(), started)
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
