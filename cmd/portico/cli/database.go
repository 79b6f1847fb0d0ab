package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/backend"
	"portico/cluster"
	"portico/cmd/portico/datadir"
	"portico/cmd/portico/site"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newDatabase() *cobra.Command {
	return group(&cobra.Command{Use: "database", Short: "Show and change where databases are active"},
		newDatabaseStatus(), newDatabaseMove(), newDatabaseRebalance(), newDatabaseCopy(), newDatabasePin(),
		newDatabasePinned())
}

func newDatabasePin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Spread users over the databases in the configuration",
		Long: `With "routing: hash", Portico keeps the set of databases that users are spread
over in data_dir. It does not start with a different set, because users whose
database changes would find an empty mailbox. This command replaces that set
with the databases in the configuration file. Move the mail first. Portico must
not be running; of a site, which keeps the set in etcd, on no node.`,
		Args: cobra.NoArgs,
	}
	file, output := configFlag(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := configs.Load(*file)
		if err != nil {
			return err
		}
		if config.Routing != configs.RoutingHash {
			return fmt.Errorf("%s has routing: %s; only routing: %s pins databases", *file, config.Routing,
				configs.RoutingHash)
		}
		s, err := openToPin(cmd.Context(), config, *file)
		if err != nil {
			return err
		}
		names := config.DatabaseNames()
		before, err := backend.PinnedDatabases(cmd.Context(), s)
		if err == nil {
			err = backend.PinDatabases(cmd.Context(), s, names)
		}
		if err = errors.Join(err, s.Close()); err != nil {
			return err
		}
		return output.printChanged(cmd, admin.Change{What: "pinned databases", Was: listOf(before), Now: listOf(names)})
	}
	return cmd
}

func newDatabasePinned() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pinned",
		Short: "List the databases that users are spread over",
		Long: `Pinned lists the databases that "routing: hash" spreads users over, and those in
the configuration file.

Exit status: 0 the configuration agrees, 1 it does not, 2 the store cannot be
read.`,
		Args: cobra.NoArgs,
	}
	file, output := configFlag(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := configs.Load(*file)
		if err != nil {
			return err
		}
		names, err := pinnedIn(cmd.Context(), config, *file)
		if err != nil {
			return err
		}
		configured := config.DatabaseNames()
		rows := table.New("Database", "Pinned", "InFile")
		for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(names, configured)))) {
			rows.Add(name, yesNo(slices.Contains(names, name)), yesNo(slices.Contains(configured, name)))
		}
		if err := output.print(cmd, map[string][]string{"pinned": append([]string{}, names...), "in_file": configured},
			rows); err != nil {
			return err
		}
		if names != nil && config.Routing == configs.RoutingHash && !slices.Equal(names, configured) {
			return errBadNews
		}
		return nil
	}
	return cmd
}

// openToPin opens the store that has the pinned set, which no running Portico may use.
func openToPin(ctx context.Context, config *configs.Config, file string) (store.Store, error) {
	if !config.Cluster.Enabled() {
		return datadir.Open(config, file)
	}
	s, err := site.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	nodes, err := cluster.Registered(ctx, s)
	for _, node := range nodes {
		if !node.Value.Stopped {
			err = errors.Join(err, fmt.Errorf("node %s has not stopped: stop Portico on all nodes first", node.Name))
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// pinnedIn reads the pinned set. It does not create a store.
func pinnedIn(ctx context.Context, config *configs.Config, file string) ([]string, error) {
	var s store.Store
	var err error
	if config.Cluster.Enabled() {
		s, err = site.Open(ctx, config)
	} else {
		s, err = store.ReadOnly(config.DataDir)
		err = datadir.Error(err, config, file)
	}
	if err != nil {
		return nil, err
	}
	names, err := backend.PinnedDatabases(ctx, s)
	return names, errors.Join(err, s.Close())
}

func listOf(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, " ")
}
