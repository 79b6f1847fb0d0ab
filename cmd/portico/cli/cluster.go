package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/cmd/portico/datadir"
	"portico/cmd/portico/site"
	"portico/configs"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
	"portico/health/admin/table"
)

func newCluster() *cobra.Command {
	return group(&cobra.Command{
		Use:   "cluster",
		Short: "Make one site of several nodes, which agree over etcd",
		Long: `The nodes of a site keep in etcd what they must agree on: active copies, moved
users, blocks, settings, overrides, rules of the protocol log. The key
cluster.etcd of the configuration says where etcd is. A node begins the site,
and the others join it. It does not matter which node gets a command that
changes these: the change is in force on all. The commands component, service,
config and listeners, and a node's own maintenance, are about the node that you
ask.`,
	}, newClusterInit(), newClusterJoin(), newClusterLeave(), newClusterStatus())
}

func newClusterInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Begin a site with what this node has in data_dir",
		Long: `Init copies what a site shares from data_dir to etcd. It seals secrets first,
with cluster.secret_file. What is copied stays in data_dir, but from then on the
node uses what etcd has. Portico must not run here. No other node can have begun
a site under the same cluster.etcd.prefix.

If init is interrupted, run it again, or run portico cluster leave to undo it.`,
		Args: cobra.NoArgs,
	}
	f := clusterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.do(cmd, func(ctx context.Context, s *site.Site, local *store.File) (site.Done, string, error) {
			done, err := s.Init(ctx, local)
			next := "This node has begun the site. Start Portico here.\n" +
				"A new node joins when it starts; one that has been in use joins by portico cluster join."
			if done.Already {
				next = "This node is in site " + done.Site + " already."
			}
			return done, next, err
		})
	}
	return cmd
}

func newClusterJoin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Take this node into the site that is in etcd",
		Long: `Join takes this node into the site that another node has begun. From then on the
node uses what etcd has. Portico must not run here.

If this node has been in use alone, its data_dir has entries of its own. If they
differ from the site's, join changes nothing and lists them. With --discard the
node joins nevertheless. Its entries stay in data_dir, unused. A node with an
empty data_dir needs no join: it joins when it starts.

Exit status: 0 this node is in the site, 1 entries differ, 2 the command failed.`,
		Args: cobra.NoArgs,
	}
	f := clusterFlags(cmd)
	discard := cmd.Flags().Bool("discard", false, "join even if entries in data_dir differ from the site's")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.do(cmd, func(ctx context.Context, s *site.Site, local *store.File) (site.Done, string, error) {
			done, err := s.Join(ctx, local, *discard)
			return done, "This node is in the site. Start Portico here.", err
		})
	}
	return cmd
}

func newClusterLeave() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take this node out of its site",
		Long: `Leave copies what the site shares from etcd to data_dir, and removes this node's
registration from etcd. Then remove cluster.etcd from the configuration: from
then on the node uses what data_dir has. Portico must not run here. Leave keeps
the previous store as a copy. If this was the last node, the site has ended, and
portico cluster init can begin another one.

If entries in data_dir have been changed since the node joined, and differ from
the site's, leave changes nothing and lists them. With --discard, the site's
replace them. If leave is interrupted, run it again.

If etcd is lost for good, --without-etcd takes what this node knew of it last.
That may be older than what other nodes know. Stop all nodes, let one leave like
this, and begin a new site with it. Then the others leave in the same way, and
join the new site with portico cluster join --discard.

Exit status: 0 this node is in no site, 1 entries differ, 2 the command failed.`,
		Args: cobra.NoArgs,
	}
	f := clusterFlags(cmd)
	discard := cmd.Flags().Bool("discard", false, "replace entries in data_dir that were changed meanwhile")
	cmd.Flags().BoolVar(&f.withoutEtcd, "without-etcd", false, "take what this node knew last, if etcd is lost")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.do(cmd, func(ctx context.Context, s *site.Site, local *store.File) (site.Done, string, error) {
			done, err := s.Leave(ctx, local, *discard, func() error {
				_, err := local.Backup(time.Now(), store.ByHand)
				return err
			})
			if err == nil {
				err = site.Forget(f.dataDir)
			}
			return done, f.afterLeave(done), err
		})
	}
	return cmd
}

// afterLeave says what to do once this node has left.
func (c *clusterCommand) afterLeave(done site.Done) string {
	switch {
	case c.withoutEtcd:
		return "This node is in no site, and has what it knew last of it. Stop all nodes of the lost site.\n" +
			"With the new etcd in the configuration, run portico cluster init on one node. On each other\n" +
			"node, run portico cluster leave --without-etcd, then portico cluster join --discard."
	case len(done.Others) > 0:
		return "This node is in no site. Remove cluster.etcd from the configuration.\nThe site goes on with " +
			strings.Join(done.Others, ", ") + ".\nDo not start this node for the same mailbox servers."
	}
	return "This node is in no site. Remove cluster.etcd from the configuration."
}

// clusterCommand holds the flags of a command about a site that runs while Portico does not.
type clusterCommand struct {
	*output
	file        *string
	withoutEtcd bool
	dataDir     string // of the configuration
}

func clusterFlags(cmd *cobra.Command) *clusterCommand {
	return &clusterCommand{output: outputFlags(cmd), file: configFlag(cmd)}
}

// clusterChange is what such a command prints as JSON.
type clusterChange struct {
	site.Done
	Differences []restoreChange `json:"differences"`
}

// do opens the store and etcd, and prints what a step has done or why it has not. next says how to go on.
func (f *clusterCommand) do(cmd *cobra.Command,
	step func(context.Context, *site.Site, *store.File) (done site.Done, next string, err error)) error {
	config, err := configs.Load(*f.file)
	if err != nil {
		return err
	}
	if !config.Cluster.Enabled() {
		return fmt.Errorf("%s has no cluster.etcd.endpoints: they say which etcd the nodes of the site share", *f.file)
	}
	f.dataDir = config.DataDir
	o, err := site.NewOptions(config)
	if err != nil {
		return err
	}
	local, err := datadir.Open(config, *f.file)
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w: stop it first", err)
	}
	if err != nil {
		return err
	}
	defer local.Close()
	etcd, err := f.open(cmd.Context(), o)
	if err != nil {
		return err
	}
	defer etcd.Close()
	done, next, err := step(cmd.Context(), site.New(etcd, o, time.Now), local)
	if differ := (*site.Differ)(nil); errors.As(err, &differ) {
		return f.refuse(cmd, done, differ)
	}
	if err != nil {
		return err
	}
	return f.printDone(cmd, done, next)
}

// open opens the site's store.
func (f *clusterCommand) open(ctx context.Context, o site.Options) (store.Store, error) {
	if f.withoutEtcd {
		return site.Known(ctx, f.dataDir)
	}
	etcd, err := etcdstore.Open(ctx, o.Etcd)
	if err != nil {
		return nil, fmt.Errorf("cluster.etcd: %w", err)
	}
	return etcd, nil
}

// refuse prints the entries because of which nothing was done.
func (f *clusterCommand) refuse(cmd *cobra.Command, done site.Done, differ *site.Differ) error {
	rows := table.New("Key", "InDataDir", "InEtcd")
	result := clusterChange{done, []restoreChange{}}
	for _, d := range differ.Entries {
		c := restoreChange{d.Key, datadir.ShownValue(d.Key, d.Before), datadir.ShownValue(d.Key, d.After)}
		result.Differences = append(result.Differences, c)
		rows.Add(c.Key, c.Before, c.After)
	}
	if err := f.print(cmd, result, rows); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "portico: %s; --discard gives up those in data_dir\n", differ)
	return errBadNews
}

func (f *clusterCommand) printDone(cmd *cobra.Command, done site.Done, next string) error {
	rows := table.New("Site", "Entries", "OtherNodes")
	rows.Add(done.Site, fmt.Sprint(done.Changed), strings.Join(done.Others, " "))
	if !f.forPeople() {
		return f.print(cmd, clusterChange{done, []restoreChange{}}, rows)
	}
	out := cmd.OutOrStdout()
	if done.Already {
		fmt.Fprintln(out, "Nothing was to be done.")
	} else if done.Changed > 0 {
		fmt.Fprintf(out, "%s changed.\n", table.Counted(done.Changed, "entr/y was/ies were"))
	}
	_, err := fmt.Fprintln(out, next)
	return err
}
