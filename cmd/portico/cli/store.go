package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portico/cmd/portico/datadir"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
	"portico/health/admin/client"
	"portico/health/admin/table"
)

func newStore() *cobra.Command {
	return group(&cobra.Command{
		Use:   "store",
		Short: "Check, back up, restore and show Portico's store",
		Long: `The store keeps what changes at run time: active copies, blocks, settings,
overrides, rules of the protocol log. It is the file portico.db in data_dir. Its
identity is in portico.db.id, and its copies are in the folder backups.

In a cluster, what the nodes share is in etcd. data_dir then has what is this
node's own, and what was in force before the node joined; these commands are
about data_dir alone. Back etcd up with etcdctl snapshot save. To read what the
nodes share, use the command of the thing, such as settings get or database
status.

With --admin or PORTICO_ADMIN these commands ask a running Portico. With
--config they read the files, whether Portico runs or not. Without either they
ask the Portico at ` + client.DefaultSocket +
			" if there is one, and otherwise read the files.",
	}, newStoreCheck(), newStoreBackup(), newStoreRestore(), newStoreShow())
}

// storeSource is where a command about the store gets its data: from a running Portico, or from the files.
type storeSource struct {
	*apiCommand
	file *string // the configuration
	cmd  *cobra.Command
}

func storeFlags(cmd *cobra.Command) storeSource {
	return storeSource{apiFlags(cmd), configFlag(cmd), cmd}
}

// running reports whether to ask a running Portico.
func (a storeSource) running() bool {
	if a.cmd.Flags().Changed("config") {
		return false
	}
	_, err := os.Stat(client.DefaultSocket)
	return a.admin != "" || os.Getenv("PORTICO_ADMIN") != "" || err == nil
}

// config reads the configuration, which says where the files are.
func (a storeSource) config() (*configs.Config, error) { return configs.Load(*a.file) }

// hint adds advice to the error that no Portico answers.
func (a storeSource) hint(err error) error {
	if !errors.Is(err, client.ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w (if Portico does not run, use --config FILE)", err)
}

func newStoreCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the store for damage and list its copies",
		Long: `Check reads every byte of the store and all its copies, or of one FILE. It also
detects a store that is missing, belongs to another Portico, or is older than
what Portico last wrote.

Exit status: 0 everything is intact, 1 the store or FILE is damaged, 2 it could
not be read, 3 the store is intact, but a copy in the folder backups is damaged.`,
		Args: cobra.MaximumNArgs(1),
	}
	source := storeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		state, err := source.state(cmd.Context(), args)
		if err != nil {
			return err
		}
		damaged := 0
		rows := copyTable()
		rows.Add(state.File, strconv.Itoa(state.Entries), cmp.Or(state.Damage, "whole"), "", "",
			strconv.FormatUint(state.Revision, 10))
		for _, c := range state.Copies {
			rows.Add(copyRow(c)...)
			if c.Damage != "" {
				damaged++
			}
		}
		if err := source.print(cmd, state, rows); err != nil {
			return err
		}
		switch {
		case state.Damage != "":
			return errBadNews
		case damaged > 0:
			fmt.Fprintf(cmd.ErrOrStderr(),
				"portico: the store is intact; %s damaged, which matters only for a restore\n",
				table.Counted(damaged, "cop/y is/ies are"))
			return errCopies
		}
		return nil
	}
	return cmd
}

// copyTable returns a table for the store and its copies.
func copyTable() *table.Table {
	return table.New("File", "Entries", "State").Wide("Taken", "Reason", "Revision")
}

func copyRow(c admin.StoreCopy) []string {
	return []string{
		c.File, strconv.Itoa(c.Entries), cmp.Or(c.Damage, "whole"), table.Time(c.Taken), c.Reason,
		strconv.FormatUint(c.Revision, 10),
	}
}

// state returns the state of the store, or of one file.
func (a storeSource) state(ctx context.Context, args []string) (state admin.StoreState, err error) {
	switch {
	case len(args) == 1:
		content, err := store.ReadCopy(args[0])
		state = admin.StoreState{File: args[0], Revision: content.Revision, Entries: len(content.Entries),
			Copies: []admin.StoreCopy{}}
		if damage := (*store.Damage)(nil); errors.As(err, &damage) {
			state.Damage, err = damage.Error(), nil
		}
		return state, err
	case a.running():
		return state, a.hint(a.get(ctx, admin.PathStore, &state))
	}
	config, err := a.config()
	if err != nil {
		return state, err
	}
	_, err = store.ReadOnly(config.DataDir)
	return datadir.State(config.DataDir, err)
}

func newStoreBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Back up the store",
		Long: `Backup writes a copy of the store as it is now, and verifies the copy. It writes
into the folder backups of data_dir, or to FILE. Portico may be running. A copy
holds the key of the protocol log's user hashes: keep it private.`,
		Args: cobra.MaximumNArgs(1),
	}
	source := storeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var made admin.StoreCopy
		var err error
		switch {
		case len(args) == 1 && source.running():
			made, err = source.backupOfRunning(cmd.Context(), args[0])
		case source.running():
			err = source.hint(source.post(cmd.Context(), admin.PathStoreBackup, admin.None{}, &made))
		default:
			made, err = source.backup(args)
		}
		if err != nil {
			return err
		}
		row := copyTable()
		row.Add(copyRow(made)...)
		return source.print(cmd, made, row)
	}
	return cmd
}

// backupOfRunning copies the store of a running Portico to a file on this machine. It asks for the path of the store
// and reads the store itself, so Portico must run on this machine. A socket shows that it does.
func (a storeSource) backupOfRunning(ctx context.Context, path string) (made admin.StoreCopy, err error) {
	if err := client.CheckAddress(a.where()); err != nil {
		return made, fmt.Errorf("--admin or PORTICO_ADMIN: %w", err)
	}
	if info, err := os.Stat(a.where()); err != nil || info.Mode().Type() != os.ModeSocket {
		return made, fmt.Errorf("FILE is on this machine, but the Portico at %s may be on another: use its socket, "+
			"leave FILE out, or add --config", client.Shown(a.where()))
	}
	var state admin.StoreState
	if err := a.get(ctx, admin.PathStore, &state); err != nil {
		return made, a.hint(err)
	}
	return copyStore(filepath.Dir(state.File), path)
}

// copyStore copies the store in a folder to a file.
func copyStore(dir, path string) (admin.StoreCopy, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return admin.StoreCopy{}, fmt.Errorf("%s is a folder: name a file to write", visibleText(path))
	}
	content, err := store.WriteCopy(dir, path)
	return admin.StoreCopy{File: path, Taken: time.Now().UTC(), Reason: string(store.ByHand),
		Revision: content.Revision, Entries: len(content.Entries)}, err
}

// backup copies the store without a running Portico.
func (a storeSource) backup(args []string) (made admin.StoreCopy, err error) {
	config, err := a.config()
	if err != nil {
		return made, err
	}
	path := store.CopyPath(config.DataDir, time.Now().UTC(), store.ByHand)
	if len(args) == 1 {
		path = args[0]
	}
	made, err = copyStore(config.DataDir, path)
	return made, datadir.Error(err, config, *a.file)
}

func newStoreShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [PREFIX]",
		Short: "Show the entries of the store or of a copy",
		Long: `Show lists the entries whose key begins with PREFIX. It masks the key of the
protocol log's user hashes. In a cluster, it shows data_dir alone: what the nodes
share is in etcd.

Exit status: 0 done, 1 the file is damaged, 2 no key begins with PREFIX, or the
file could not be read.`,
		Args: cobra.MaximumNArgs(1),
	}
	source := storeFlags(cmd)
	from := cmd.Flags().String("file", "",
		"show this `file` instead, such as a copy; of a damaged file, the intact entries")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		prefix := ""
		if len(args) == 1 {
			prefix = args[0]
		}
		entries, damage, err := source.entries(cmd.Context(), *from, prefix)
		if err != nil {
			return err
		}
		if len(entries) == 0 && prefix != "" && damage == nil {
			return fmt.Errorf("no entry has a key that begins with %q: portico store show lists all", prefix)
		}
		rows := table.New("Key", "Revision", "Value")
		for _, e := range entries {
			rows.Add(e.Key, strconv.FormatUint(e.Revision, 10), e.Value)
		}
		if err := source.print(cmd, entries, rows); err != nil || damage == nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), visibleText(damage.Error()))
		return errBadNews
	}
	return cmd
}

// entries returns the entries of the store or of a file, and its damage.
func (a storeSource) entries(ctx context.Context, file, prefix string) (entries []admin.StoreEntry, damage,
	err error) {
	if file == "" && a.running() {
		return entries, nil, a.hint(a.get(ctx, admin.PathStoreEntries+"?prefix="+url.QueryEscape(prefix), &entries))
	}
	if file == "" {
		config, err := a.config()
		if err != nil {
			return nil, nil, err
		}
		file = filepath.Join(config.DataDir, store.FileName)
		if _, damage = store.ReadOnly(config.DataDir); damage != nil {
			damage = datadir.Error(damage, config, *a.file)
		}
	}
	content, err := store.ReadCopy(file)
	if found := (*store.Damage)(nil); errors.As(err, &found) {
		damage, err = cmp.Or(damage, err), nil
	}
	return datadir.Entries(content.Entries, prefix), damage, err
}
