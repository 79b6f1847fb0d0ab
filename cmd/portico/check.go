package main

import (
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
		Long: "Check reads a configuration file, and the certificates, keys, tokens and map files it names. It prints every mistake and\n" +
			"warning with file, line and column, and the settings in which a change at run time beats it. What a start would refuse counts as a\n" +
			"mistake: a file that cannot be used, a store that is damaged, other databases than \"routing: hash\" spreads users over. A database\n" +
			"without the copy that is active counts too: a reload refuses it, and a start keeps its users out. Check also warns of databases\n" +
			"that no probe opens, of probes that may take longer than their interval, and of two servers whose faults recovery cannot tell\n" +
			"apart. It opens no port and changes nothing.\n\n" +
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
	refused := refusals(ctx, config, file, func(what string, err error) {
		found = append(found, configs.Problem{File: file, Message: what + ": " + err.Error(), Warning: true})
	})
	for _, err := range refused {
		found = append(found, configs.Problem{File: file, Message: err.Error()})
	}
	return append(found, storedFindings(ctx, file, config)...), nil
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

// storedFindings lists the settings in which a change at run time beats the file, and the databases whose active copy the file does not have: with
// one of those it cannot be used.
func storedFindings(ctx context.Context, file string, config *configs.Config) (found configs.Problems) {
	known, err := readKept(ctx, config)
	if err != nil {
		found = append(found, configs.Problem{File: file, Message: "the file cannot be compared with what is stored: " + err.Error(), Warning: true})
	}
	for _, s := range known.settings {
		if s.File != "" {
			text := fmt.Sprintf("the stored value %s beats the file's %s; `portico settings reset %s` ends that", s.Value, s.File, s.Name)
			found = append(found, configs.Problem{File: file, Path: "settings." + s.Name, Message: text, Warning: true})
		}
	}
	for _, name := range databaseNames(config) {
		if server, ok := known.active[name]; ok && !slices.Contains(config.Databases[name].Copies, server) {
			text := fmt.Sprintf("database %s is active on %s, which is not among its copies: keep that copy until `portico database move %s SERVER`", name, server, name)
			found = append(found, configs.Problem{File: file, Message: text})
		}
	}
	return found
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
