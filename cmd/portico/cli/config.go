package cli

import "github.com/spf13/cobra"

// newConfig returns the commands about the configuration.
func newConfig() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Compare, apply, roll back and import configurations",
		Long: `Config changes the configuration of a running Portico. Sessions continue.

Portico keeps the last twenty configurations that were applied, with who applied
them and what became of them. A start takes the one applied last, or the file if
the file was edited since.`,
	}, newConfigDiff(), newConfigApply(), newConfigHistory(), newConfigShow(), newConfigRollback(), newConfigImport())
}
