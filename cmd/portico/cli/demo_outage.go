package cli

import (
	"os"

	"github.com/spf13/cobra"

	"portico/backend/backendtest"
	"portico/cmd/portico/demo"
)

func newDemoBreak() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "break SERVER",
		Short: "Stop a mailbox server of the running demo, or make it silent or slow",
		Long: `Break stops a mailbox server of the running demo: it refuses connections, and
its sessions end. With --silent the server accepts connections and answers
nothing, as a server that hangs does. Recovery then moves its databases to the
other server; "portico health recovery" shows it. With --slow each answer of the
server is late by a second, as with a disk that is overloaded: "portico stats"
shows it. "portico demo mend" repairs the server.`,
		Example: "  portico demo break mbx1\n  portico demo break mbx1 --silent\n  portico demo break mbx2 --slow",
		Args:    cobra.ExactArgs(1),
	}
	silent := cmd.Flags().Bool("silent", false, "accept connections and answer nothing")
	slow := cmd.Flags().Bool("slow", false, "answer late")
	cmd.MarkFlagsMutuallyExclusive("silent", "slow")
	return demoOutage(cmd, func() backendtest.Outage {
		switch {
		case *silent:
			return backendtest.Silent
		case *slow:
			return backendtest.Slow
		}
		return backendtest.Stopped
	})
}

func newDemoMend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mend SERVER",
		Short: "Repair a mailbox server of the running demo",
		Long: `Mend ends what "portico demo break" began. Databases that have moved stay where
they are. "portico database rebalance" moves them back once recovery has
unblocked the server.`,
		Example: "  portico demo mend mbx1",
		Args:    cobra.ExactArgs(1),
	}
	return demoOutage(cmd, func() backendtest.Outage { return backendtest.NoOutage })
}

// demoOutage makes a command that asks the running demo for an outage.
func demoOutage(cmd *cobra.Command, outage func() backendtest.Outage) *cobra.Command {
	output := outputFlags(cmd)
	dir := cmd.Flags().String("dir", "", "`folder` of the demo; the default is the folder of PORTICO_ADMIN")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change, err := demo.SetOutage(cmd.Context(), *dir, os.Getenv("PORTICO_ADMIN"), args[0], outage())
		if err != nil {
			return err
		}
		return output.printChanged(cmd, change)
	}
	return cmd
}
