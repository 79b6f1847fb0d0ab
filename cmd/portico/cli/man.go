package cli

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan returns the command man, which packagers use.
func newMan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "man --dir DIR",
		Short: "Write the manual pages into a folder",
		Long:  `Man writes a manual page for each command into a folder, for packages.`,
		Args:  cobra.NoArgs,
	}
	dir := cmd.Flags().String("dir", "", "`folder` for the pages; created if it is missing")
	cmd.MarkFlagRequired("dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := os.MkdirAll(*dir, 0o755); err != nil {
			return err
		}
		root := cmd.Root()
		root.DisableAutoGenTag = true // the same source gives the same pages
		root.InitDefaultCompletionCmd()
		return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Portico", Manual: "Portico"}, *dir)
	}
	return cmd
}
