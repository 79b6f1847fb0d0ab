package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"portico/configs"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell everything that is wrong with a configuration file",
		Long: "Check reads a configuration file, the certificates and the map files it names, and prints every mistake and\n" +
			"warning with file, line and column. It starts nothing.\n\n" +
			"Exit status: 0 the file can be used, 1 it has mistakes, 2 it cannot be read.",
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := configs.Load(*file)
		var problems configs.Problems
		switch {
		case errors.As(err, &problems):
			fmt.Fprintln(cmd.OutOrStdout(), problems.Error())
			return errBadNews
		case err != nil:
			return err
		}
		for _, warning := range config.Warnings() {
			fmt.Fprintln(cmd.OutOrStdout(), warning.Error())
		}
		_, _, err = clientTLS(config.TLS)
		if err == nil {
			_, err = newDirectories(config.Directory, nil)
		}
		if err != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", *file, err)
			return errBadNews
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: fine\n", *file)
		return nil
	}
	return cmd
}
