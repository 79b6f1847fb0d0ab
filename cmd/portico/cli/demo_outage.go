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
		Short: "Stop a mailbox server of the running demo, or make it silent",
		Long: "Break stops a mailbox server of the running demo: it refuses connections, and its sessions end. With " +
			"--silent it accepts\n" +
			"connections and answers nothing, as a server does that hangs. Recovery then moves its databases to the " +
			"other server;\n" +
			"\"portico health recovery\" shows it. \"portico demo mend\" makes the server work again.",
		Example: "  portico demo break mbx1\n  portico demo break mbx1 --silent",
		Args:    cobra.ExactArgs(1),
	}
	silent := cmd.Flags().Bool("silent", false, "accept connections and answer nothing")
	return demoOutage(cmd, func() backendtest.Outage {
		if *silent {
			return backendtest.Silent
		}
		return backendtest.Stopped
	})
}

func newDemoMend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mend SERVER",
		Short: "Make a mailbox server of the running demo work again",
		Long: "Mend ends what \"portico demo break\" began. Databases that have moved stay where they are; " +
			"\"portico database rebalance\"\n" +
			"moves them back once recovery has unblocked the server.",
		Example: "  portico demo mend mbx1",
		Args:    cobra.ExactArgs(1),
	}
	return demoOutage(cmd, func() backendtest.Outage { return backendtest.NoOutage })
}

// demoOutage has a command ask the running demo for an outage.
func demoOutage(cmd *cobra.Command, outage func() backendtest.Outage) *cobra.Command {
	output := outputFlags(cmd)
	dir := cmd.Flags().String("dir", "", "the demo's `folder`; by default the one that PORTICO_ADMIN is in")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change, err := demo.SetOutage(cmd.Context(), *dir, os.Getenv("PORTICO_ADMIN"), args[0], outage())
		if err != nil {
			return err
		}
		return output.changed(cmd, change)
	}
	return cmd
}
