package cli

import "github.com/spf13/cobra"

// newConfig returns the commands about the configuration file.
func newConfig() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Compare the configuration file with what is in effect, or make one from another proxy's",
	}, newConfigDiff(), newConfigImport())
}
