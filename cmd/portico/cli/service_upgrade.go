package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newServiceUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Start another process that takes clients in place of this one, without a lost connection",
		Long: `Upgrade starts a new process: of a new version, or of the same one to apply keys
that need a restart. It has the listeners of the present process, takes over its
store, limits and penalties, and proves with ImapProxyTestProbe that it works.
Only then does the present process stop accepting. That process keeps its
sessions, and ends with the last of them or after --drain; portico service
generations shows it. The new process counts, lists, logs and ends its sessions.

If the new process is not ready within 30 seconds, it is ended and the present
one goes on. Moves of databases, and an upgrade while one is in progress, are
refused. Only root and Portico's own user may name a program with --binary, over
admin.socket, since it runs as Portico's user.

Exit status: 0 the new process takes clients, 2 nothing has changed.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	program := cmd.Flags().String("binary", "", "the program to start; default the present one, which may have been "+
		"replaced on the disk")
	drain := cmd.Flags().Duration("drain", 12*time.Hour, "how long the present process keeps its sessions")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var made admin.Generation
		err := api.post(cmd.Context(), admin.PathUpgrade,
			admin.UpgradeRequest{Program: *program, Seconds: drain.Seconds()}, &made)
		if err != nil {
			return err
		}
		return api.print(cmd, made, generationTable(made))
	}
	return cmd
}

func newServiceGenerations() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generations",
		Short: "List the processes of this node, and the sessions that each carries",
		Long: `Generations lists the process that takes clients, and below it those that an
upgrade has replaced and that still carry sessions.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []admin.Generation
		if err := api.get(cmd.Context(), admin.PathGenerations, &all); err != nil {
			return err
		}
		return api.print(cmd, all, generationTable(all...))
	}
	return cmd
}

// silentProcesses writes a note about each earlier process that does not answer, whose sessions are missing in what the
// command shows. It returns the error that ends the command with StatusBad if there is one.
func (a *apiCommand) silentProcesses(ctx context.Context) (err error) {
	for _, process := range a.silent(ctx) {
		a.note("%s may be missing here", process)
		err = errBadNews
	}
	return err
}

// silent describes the earlier processes that do not answer, and their sessions.
func (a *apiCommand) silent(ctx context.Context) (processes []string) {
	quiet := *a
	quiet.notes = io.Discard
	all, err := getAll[[]admin.Generation](ctx, &quiet, admin.PathGenerations)
	if err != nil { // it is an older version, or does not answer: other requests say so
		return nil
	}
	for _, from := range all.answers {
		node := ""
		if from.node != "" {
			node = "node " + from.node + ": "
		}
		for _, g := range from.answer {
			if g.Silent > 0 {
				processes = append(processes, fmt.Sprintf("%sprocess %d has not answered for %v: its %s", node, g.PID,
					inSeconds(g.Silent).Round(time.Second), table.Counted(g.Sessions, "session")))
			}
		}
	}
	return processes
}

func generationTable(all ...admin.Generation) *table.Table {
	rows := table.New("Process", "Version", "Since", "Sessions", "State").Keep("State")
	for _, g := range all {
		state := "takes clients"
		if !g.Serving {
			state = "ends with its last session"
			if !g.Until.IsZero() {
				state = "ends by " + shownTime(&g.Until)
			}
		}
		if g.Silent > 0 {
			state = "has not answered for " + inSeconds(g.Silent).Round(time.Second).String()
		}
		rows.Add(strconv.Itoa(g.PID), g.Version, table.Time(g.Since), strconv.Itoa(g.Sessions), state)
	}
	return rows
}
