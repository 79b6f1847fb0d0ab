package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"portico/backend"
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
			"warning with file, line and column, and the settings in which a change at run time beats it. A database without the copy that is\n" +
			"active counts as a mistake: a reload refuses it, and a start keeps its users out. Check starts nothing.\n\n" +
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
		if !tellStored(cmd.Context(), cmd.OutOrStdout(), config) {
			return errBadNews
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: fine\n", *file)
		return nil
	}
	return cmd
}

// tellStored lists the settings in which a change at run time beats the file, and the databases whose active copy the file does not have; with one
// of those the file is not fine.
func tellStored(ctx context.Context, out io.Writer, config *configs.Config) (fine bool) {
	known, err := readKept(ctx, config)
	if err != nil {
		fmt.Fprintf(out, "what is stored can not be compared with the file: %s\n", err)
	}
	for _, s := range known.settings {
		if s.File != "" {
			fmt.Fprintf(out, "settings.%s: the stored value %s beats the file's %s; `portico settings reset %s` ends that\n", s.Name, s.Value, s.File, s.Name)
		}
	}
	fine = true
	for _, name := range databaseNames(config) {
		if server, ok := known.active[name]; ok && !slices.Contains(config.Databases[name].Copies, server) {
			fmt.Fprintf(out, "database %s is active on %s, which is not among its copies: keep that copy until `portico database move %s SERVER`\n", name, server, name)
			fine = false
		}
	}
	return fine
}

// kept is what the store has beside the file.
type kept struct {
	settings []admin.SettingState
	active   map[string]string // databases: the server with the active copy
}

// readKept reads the store. While Portico runs that is its own, and Portico is asked.
func readKept(ctx context.Context, config *configs.Config) (k kept, err error) {
	if _, err := os.Stat(filepath.Join(config.DataDir, store.FileName)); err != nil {
		return k, nil // it has never run here
	}
	s, err := openStore(config)
	switch {
	case errors.Is(err, store.ErrLocked):
		return askKept(ctx, client.New(config.Admin.Socket, ""))
	case err != nil:
		return k, err
	}
	defer s.Close()
	stored, _, err := readStored(ctx, s)
	if err != nil {
		return k, err
	}
	changed, _ := overlay(config, stored)
	k.settings = settingStates(config.Settings, changed.Settings, stored)
	k.active, err = backend.ActiveCopies(ctx, s)
	return k, err
}

func askKept(ctx context.Context, from *client.Client) (k kept, err error) {
	if err := from.Get(ctx, "/api/v1/settings", &k.settings); err != nil {
		return k, err
	}
	var copies []admin.CopyStatus
	if err := from.Get(ctx, "/api/v1/databases", &copies); err != nil {
		return k, err
	}
	k.active = make(map[string]string)
	for _, c := range copies {
		if c.Active {
			k.active[c.Database] = c.Server
		}
	}
	return k, nil
}
