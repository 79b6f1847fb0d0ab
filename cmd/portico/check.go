package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"portico/backend"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell everything that is wrong with a configuration file",
		Long: "Check reads a configuration file, and the certificates, keys, tokens and map files it names. It prints every mistake and\n" +
			"warning with file, line and column, and the settings in which a change at run time beats it. What a start would refuse counts as a\n" +
			"mistake: a file that cannot be used, a store that is damaged, other databases than \"routing: hash\" spreads users over. A database without the copy that is active counts too: a reload refuses it, and a start keeps its users\n" +
			"out. Check opens no port and changes nothing.\n\n" +
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
		refused := refusals(cmd.Context(), config, *file, func(what string, err error) {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: warning: %s: %s\n", *file, what, err)
		})
		for _, err := range refused {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", *file, err)
		}
		if !tellStored(cmd.Context(), cmd.OutOrStdout(), config) || len(refused) > 0 {
			return errBadNews
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: fine\n", *file)
		return nil
	}
	return cmd
}

// refusals returns why a start with a configuration would fail, by making what a start makes. warn gets what a start would only log.
func refusals(ctx context.Context, config *configs.Config, file string, warn func(what string, err error)) (all []error) {
	note := func(err error) {
		if err != nil {
			all = append(all, err)
		}
	}
	_, err := adminAccess(config.Admin)
	note(err)
	_, err = newNodes(config)
	note(err)
	kept, err := store.ReadOnly(config.DataDir)
	if errors.Is(err, fs.ErrPermission) { // tellStored says so
		kept, err = store.Memory(), nil
	}
	if err != nil {
		return append(all, storeError(err, config, file))
	}
	defer kept.Close()
	of := lasting{store: kept, report: warn}
	if of.active, err = backend.NewActiveManager(ctx, kept); err != nil {
		return append(all, err)
	}
	if of.survey, err = backend.NewSurvey(ctx, kept); err != nil {
		return append(all, err)
	}
	f, err := newFront(ctx, config, of)
	note(err)
	if err == nil {
		f.tier.Close()
	}
	return all
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

// readKept reads the store, which may be in use.
func readKept(ctx context.Context, config *configs.Config) (k kept, err error) {
	s, err := store.ReadOnly(config.DataDir)
	if damage := (*store.Damage)(nil); errors.As(err, &damage) { // refusals says so
		return k, nil
	}
	if err != nil {
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
