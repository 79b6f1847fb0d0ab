package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"portico/health/admin/table"
)

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Args:  cobra.NoArgs,
	}
	output := outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if output.form == table.Plain {
			fmt.Fprintf(cmd.OutOrStdout(), "portico %s\n%s %s\n", version(), runtime.Version(), platform)
			return nil
		}
		row := table.New("Version", "Go", "Platform")
		row.Add(version(), runtime.Version(), platform)
		return output.print(cmd, map[string]string{"version": version(), "go": runtime.Version(),
			"platform": platform}, row)
	}
	return cmd
}

// version is what the Go tool wrote into the program: a tag or commit, and whether there were changes on top.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "unknown")
}
