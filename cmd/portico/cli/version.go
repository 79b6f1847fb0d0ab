package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"portico/cmd/portico/release"
	"portico/health/admin/table"
)

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and build information",
		Args:  cobra.NoArgs,
	}
	output := outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if output.form == table.Plain {
			fmt.Fprintf(cmd.OutOrStdout(), "portico %s\n%s %s\n", release.Version(), runtime.Version(), platform)
			return nil
		}
		row := table.New("Version", "Go", "Platform")
		row.Add(release.Version(), runtime.Version(), platform)
		return output.print(cmd, map[string]string{"version": release.Version(), "go": runtime.Version(),
			"platform": platform}, row)
	}
	return cmd
}
