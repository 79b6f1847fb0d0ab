package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
	"portico/health/admin/client"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell everything that is wrong with a configuration file",
		Long: "Check reads a configuration file, the certificates and the map files it names, and prints every mistake and\n" +
			"warning with file, line and column, and the settings in which a change at run time beats it. It starts nothing.\n\n" +
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
		tellStored(cmd.Context(), cmd.OutOrStdout(), config)
		fmt.Fprintf(cmd.OutOrStdout(), "%s: fine\n", *file)
		return nil
	}
	return cmd
}

// tellStored lists the settings in which a change at run time beats the file. The store is a running Portico's own: then that is asked.
func tellStored(ctx context.Context, out io.Writer, config *configs.Config) {
	states, err := storedStates(ctx, config)
	if err != nil {
		fmt.Fprintf(out, "whether stored settings beat the file can not be told: %s\n", err)
	}
	for _, s := range states {
		if s.File != "" {
			fmt.Fprintf(out, "settings.%s: the stored value %s beats the file's %s; `portico settings reset %s` ends that\n", s.Name, s.Value, s.File, s.Name)
		}
	}
}

func storedStates(ctx context.Context, config *configs.Config) (states []admin.SettingState, err error) {
	if _, err := os.Stat(filepath.Join(config.DataDir, store.FileName)); err != nil {
		return nil, nil // it has never run here
	}
	s, err := openStore(config)
	switch {
	case errors.Is(err, store.ErrLocked):
		err = client.New(config.Admin.Socket, "").Get(ctx, "/api/v1/settings", &states)
		return states, err
	case err != nil:
		return nil, err
	}
	defer s.Close()
	stored, _, err := readStored(ctx, s)
	if err != nil {
		return nil, err
	}
	changed, _ := overlay(config, stored)
	return settingStates(config.Settings, changed.Settings, stored), nil
}
