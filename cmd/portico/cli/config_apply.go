package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"portico/configs"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newConfigApply() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Apply a configuration, watch the probes, and withdraw it if they get worse",
		Long: `Apply puts the file that Portico was started with in force, or FILE. A file with
mistakes is refused, and nothing changes. Sessions continue, and listeners are
opened and closed without a restart.

Then ImapProxyTestProbe over each listener, and ImapSelfTestProbe at each mailbox
server, run for health.config_watch (30 s). If one fails that did not fail
before, the new configuration is withdrawn: Portico puts the one before back,
tells people, and the command says why. The watch goes on if you interrupt the
command. Another apply replaces one that is being watched.

The next start takes the applied configuration, or the file if you edit it after
that. While the probes are watched, a start takes the configuration before.
Apply does not write to the file.

--dry-run changes nothing. It shows the keys that would change and for whom, what
happens to sessions and databases, and the warnings of portico check. For keys
that need a restart, use portico service upgrade.

Only root and Portico's own user may apply another FILE, over admin.socket,
since a configuration names programs to run. File names in it are relative to
the folder of the file that Portico was started with.

Exit status: 0 applied, 2 refused or withdrawn. If Portico ends meanwhile, the
status is 2 too, and portico config history shows the result.`,
		Example: "  portico config apply --dry-run\n" +
			"  portico config apply new.yaml",
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	dryRun := cmd.Flags().Bool("dry-run", false, "show what would change, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *dryRun {
			plan, err := api.plan(cmd, args)
			if err != nil {
				return err
			}
			return api.printPlan(cmd, plan)
		}
		candidate, err := candidateOf(args)
		if err != nil {
			return err
		}
		c, history, err := api.configHistory(cmd.Context())
		if err != nil {
			return err
		}
		if api.forPeople() {
			api.note("checking the configuration, and running the probes once before anything changes")
		}
		return api.applied(cmd, c, history, admin.PathConfigApply, candidate)
	}
	return cmd
}

func newConfigRollback() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback [N]",
		Short: "Apply the last configuration that was good before the present one, or an earlier one",
		Long: `Rollback applies an earlier configuration as config apply does: N of config
history, or the last one that was good before the one in force. It says first
which one that is. Files that it names, such as certificates, are read as they
are now.

A second rollback goes further back. If the last change was withdrawn, the
configuration before it is in force again: then rollback without N changes
nothing, and says how to go further back.

The next start takes it too. The file stays as it is: a reload does not apply it
again until you edit it. To make the file the same, run config show.

Exit status: as config apply.`,
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := configNumber(args)
		if err != nil {
			return err
		}
		c, history, err := api.configHistory(cmd.Context())
		if err != nil {
			return err
		}
		number = api.noteRollback(history, number)
		return api.applied(cmd, c, history, admin.PathConfigRollback, admin.RollbackRequest{Number: number})
	}
	return cmd
}

// plan asks what applying a file would do.
func (a *apiCommand) plan(cmd *cobra.Command, args []string) (plan admin.ConfigPlan, err error) {
	candidate, err := candidateOf(args)
	if err != nil {
		return plan, err
	}
	return plan, a.post(cmd.Context(), admin.PathConfigPlan, candidate, &plan)
}

// printPlan prints a plan: the keys, and for people the sentences below them.
func (a *apiCommand) printPlan(cmd *cobra.Command, plan admin.ConfigPlan) error {
	out := cmd.OutOrStdout()
	if len(plan.Changes) == 0 && a.forPeople() {
		fmt.Fprintln(out, "Nothing differs from the running configuration.")
	} else {
		rows := table.New("Key", "Was", "Now", "Effect").Keep("Key")
		for _, c := range plan.Changes {
			rows.Add(c.Key, c.Was, c.Now, c.Effect)
		}
		if err := a.print(cmd, plan, rows); err != nil {
			return err
		}
	}
	if a.forPeople() {
		printList(out, "Listeners, sessions and databases:", plan.Notes)
		printList(out, "Warnings:", plan.Warnings)
	}
	return nil
}

// printList prints sentences below a heading, and nothing if there are none.
func printList(out io.Writer, heading string, sentences []string) {
	if len(sentences) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", heading)
	for _, sentence := range sentences {
		fmt.Fprintf(out, "- %s\n", visibleText(sentence))
	}
}

// candidateOf reads the file that a command names; without one, Portico takes its own.
func candidateOf(args []string) (c admin.Candidate, err error) {
	if len(args) == 0 {
		return c, nil
	}
	text, err := configs.Read(args[0])
	if err == nil && strings.TrimSpace(string(text)) == "" {
		err = fmt.Errorf("%s is empty", args[0])
	}
	c.Candidate, c.Name = string(text), filepath.Base(args[0])
	return c, err
}
