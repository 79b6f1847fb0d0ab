package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"portico/backend"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell everything that is wrong with a configuration file",
		Long: "Check reads a configuration file, and the certificates, keys, tokens and map files it names. It " +
			"prints every mistake and\n" +
			"warning with file, line and column, and the settings in which a change at run time beats it. What a " +
			"start would refuse counts as a\n" +
			"mistake: a file that cannot be used, a store that is damaged, other databases than \"routing: hash\" " +
			"spreads users over. A database\n" +
			"without the copy that is active counts too: a reload refuses it, and a start keeps its users out. " +
			"Check also warns of databases\n" +
			"that no probe opens, of probes that may take longer than their interval, of sites whose users stay out " +
			"if two servers fail at a\n" +
			"time, and of nodes with the name of a mailbox server. It opens no port and changes nothing.\n\n" +
			"Exit status: 0 the file can be used, 1 it has mistakes, 2 it cannot be read.",
		Args: cobra.NoArgs,
	}
	file, output := configFlag(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := checkFile(cmd.Context(), *file)
		if err != nil {
			return err
		}
		if err := output.findings(cmd, *file, found); err != nil {
			return err
		}
		if found.Err() != nil {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// checkFile returns all that is to say of a configuration file. An error is that of a file that cannot be read.
func checkFile(ctx context.Context, file string) (found configs.Problems, err error) {
	config, err := configs.Load(file)
	if errors.As(err, &found) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	found = slices.Concat(config.Warnings(), config.Advice())
	kept, unread := store.ReadOnly(config.DataDir)
	if unread != nil {
		kept = store.Memory()
	}
	defer kept.Close()
	stored := storedFindings(ctx, file, config, kept, unread) // first: what a start makes may write there
	refused := refusals(ctx, config, file, kept, unread, func(what string, err error) {
		found = append(found, configs.Problem{File: file, Message: what + ": " + err.Error(), Warning: true})
	})
	for _, err := range refused {
		found = append(found, configs.Problem{File: file, Message: err.Error()})
	}
	return append(found, stored...), nil
}

// findings prints what check has found: for people a line each, as compilers do, and whether the file is fine.
func (o *output) findings(cmd *cobra.Command, file string, found configs.Problems) error {
	type finding struct {
		File    string `json:"file"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
		Level   string `json:"level"`
		Key     string `json:"key,omitempty"`
		Message string `json:"message"`
	}
	all := struct {
		File     string    `json:"file"`
		Fine     bool      `json:"fine"`
		Findings []finding `json:"findings"`
	}{file, found.Err() == nil, []finding{}}
	rows := table.New("File", "Line", "Column", "Level", "Key", "Message")
	for _, p := range found {
		if o.form == table.Plain {
			fmt.Fprintln(cmd.OutOrStdout(), visibleText(p.Error()))
		}
		level := "error"
		if p.Warning {
			level = "warning"
		}
		all.Findings = append(all.Findings, finding{p.File, p.Line, p.Column, level, p.Path, p.Message})
		rows.Add(p.File, strconv.Itoa(p.Line), strconv.Itoa(p.Column), level, p.Path, p.Message)
	}
	if o.form != table.Plain {
		return o.print(cmd, all, rows)
	}
	if all.Fine {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: fine\n", visibleText(file))
	}
	return nil
}

// refusals returns why a start with a configuration would fail, by making what a start makes. kept is what is stored,
// or an empty store, and unread why it cannot be read. warn gets what a start would only log.
func refusals(
	ctx context.Context, config *configs.Config, file string, kept store.Store, unread error,
	warn func(what string, err error),
) (all []error) {
	note := func(err error) {
		if err != nil {
			all = append(all, err)
		}
	}
	_, err := adminAccess(config.Admin)
	note(err)
	_, err = newNodes(config)
	note(err)
	if unread != nil && !errors.Is(unread, fs.ErrPermission) { // storedFindings says so
		return append(all, storeError(unread, config, file))
	}
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

// storedFindings lists the settings in which a change at run time beats the file, and the databases whose active copy
// the file does not have: with one of those it cannot be used. kept and unread are as of refusals, which speaks of a
// damaged store.
func storedFindings(ctx context.Context, file string, config *configs.Config, kept store.Store,
	unread error) (found configs.Problems) {
	settings, active, err := readKept(ctx, config, kept)
	if damage := (*store.Damage)(nil); !errors.As(unread, &damage) {
		err = cmp.Or(unread, err)
	}
	if err != nil {
		found = append(found, configs.Problem{File: file,
			Message: "the file cannot be compared with what is stored: " + err.Error(), Warning: true})
	}
	for _, s := range settings {
		if s.File != "" {
			text := fmt.Sprintf("the stored value %s beats the file's %s; `portico settings reset %s` ends that",
				s.Value, s.File, s.Name)
			found = append(found, configs.Problem{File: file, Path: "settings." + s.Name, Message: text,
				Warning: true})
		}
	}
	for _, name := range databaseNames(config) {
		if server, ok := active[name]; ok && !slices.Contains(config.Databases[name].Copies, server) {
			text := fmt.Sprintf("database %s is active on %s, which is not among its copies: keep that copy until "+
				"`portico database move %s SERVER`", name, server, name)
			found = append(found, configs.Problem{File: file, Message: text})
		}
	}
	return found
}

// readKept reads the settings that a store has, and for each database the server with the active copy.
func readKept(ctx context.Context, config *configs.Config, s store.Store) (settings []admin.SettingState,
	active map[string]string, err error) {
	stored, _, err := readStored(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	changed, _ := overlay(config, stored)
	active, err = backend.ActiveCopies(ctx, s)
	return settingStates(config.Settings, changed.Settings, stored), active, err
}
