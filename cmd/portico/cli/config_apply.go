package cli

import (
	"fmt"
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
		Short: "Apply a configuration, watch the probes, and put the one before back if they get worse",
		Long: `Apply puts the file that Portico was started with in force, or FILE. A file with
mistakes is refused, and nothing changes. Sessions continue, and listeners are
opened and closed without a restart.

Then ImapProxyTestProbe over each listener, and ImapSelfTestProbe at each mailbox
server, run for health.config_watch (30 s). If one fails that did not fail
before, the configuration before is put back, people are told, and the command
says why. The watch goes on if you interrupt the command. Another apply replaces
one that is being watched.

The next start takes the applied configuration, or the file if you edit it after
that. While the probes are watched, a start takes the configuration before.
Apply does not write to the file.

--dry-run changes nothing. It shows the keys that would change and for whom, and
what happens to sessions and databases. For keys that need a restart, use
portico service upgrade.

Only root and Portico's own user may apply another FILE, over admin.socket,
since a configuration names programs to run. File names in it are relative to
the folder of the file that Portico was started with.

Exit status: 0 applied, 2 refused or put back.`,
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
		return api.applied(cmd, admin.PathConfigApply, candidate)
	}
	return cmd
}

func newConfigRollback() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback [N]",
		Short: "Apply the configuration before the present one, or an earlier one",
		Long: `Rollback applies an earlier configuration as config apply does: N of config
history, or the one that was in force before. Files that it names, such as
certificates, are read as they are now.

The next start takes it too. The file stays as it is: a reload does not apply it
again until you edit it. To make the file the same, run config show.

Exit status: 0 applied, 2 refused or put back.`,
		Args: cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := configNumber(args)
		if err != nil {
			return err
		}
		return api.applied(cmd, admin.PathConfigRollback, admin.RollbackRequest{Number: number})
	}
	return cmd
}

// applied sends a request that puts a configuration in force, and prints which one is.
func (a *apiCommand) applied(cmd *cobra.Command, path string, body any) error {
	var made admin.ConfigRecord
	if a.forPeople() {
		a.note("applying it and watching the probes, which goes on if you interrupt this command")
	}
	if err := a.post(cmd.Context(), path, body, &made); err != nil {
		return err
	}
	if err := a.print(cmd, made, recordTable(made)); err != nil {
		return err
	}
	if len(made.Restart) > 0 {
		a.note("these keys need portico service upgrade: %s", strings.Join(made.Restart, ", "))
	}
	return nil
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
	if a.forPeople() && len(plan.Notes) > 0 {
		fmt.Fprintln(out)
		for _, note := range plan.Notes {
			fmt.Fprintf(out, "- %s\n", visibleText(note))
		}
	}
	return nil
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
