package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/protolog"
)

func newLogCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "log",
		Short: "Switch the protocol log on and off, and watch it",
		Long: "The protocol log has a row for each command of the sessions that it is switched on for. It takes effect inside sessions that\n" +
			"are open, shows no secret, and ends by itself.",
	}, newLogOn(), newLogOff(), newLogStatus(), newLogTail(), newLogShow())
}

// filterFlags gives a command the flags that say which rows are wanted.
func filterFlags(cmd *cobra.Command) func() admin.LogFilter {
	f, slower := &admin.LogFilter{}, time.Duration(0)
	flags := cmd.Flags()
	flags.StringVar(&f.User, "user", "", "only sessions of users that this `pattern` fits: * is any characters, ? is one")
	flags.StringVar(&f.IP, "ip", "", "only clients with this `address or network`, such as 192.0.2.0/24")
	flags.StringVar(&f.Server, "server", "", "only sessions on this mailbox `server`")
	flags.StringVar(&f.Session, "session", "", "only the session with this `ID`; session list has them")
	flags.StringVar(&f.Command, "command", "", "only this `command`, such as select, or fetch, which is UID FETCH too")
	flags.DurationVar(&slower, "slower", 0, "only commands that take the mailbox server at least this `time`")
	return func() admin.LogFilter {
		f.Slower = slower.Seconds()
		return *f
	}
}

func newLogOn() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "on",
		Short: "Log what sessions do, for a while",
		Long: "On begins a rule: sessions that fit all that is given are logged from now on, those that are open too, until the rule's end. Any\n" +
			"number of rules are in force side by side. Without a filter everything is logged.",
		Example: "  portico log on --user ann@example.org\n  portico log on --server mbx1 --slower 500ms --for 1h",
		Args:    cobra.NoArgs,
	}
	ask := askHere(cmd)
	filter := filterFlags(cmd)
	last := cmd.Flags().Duration("for", 10*time.Minute, "`time` after which the rule ends; 0s is not before log off")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		body := struct {
			admin.LogFilter
			For float64
		}{filter(), last.Seconds()}
		var rule admin.LogRule
		if err := ask.post(cmd.Context(), "/api/v1/log/on", body, &rule); err != nil {
			return err
		}
		return ask.rules(cmd, rule, []admin.LogRule{rule})
	}
	return cmd
}

func newLogOff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "off [RULE]",
		Short: "End a rule of the protocol log, or all of them",
		Args:  cobra.MaximumNArgs(1),
	}
	ask := askHere(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var ended struct {
			Ended int `json:"ended"`
		}
		if err := ask.post(cmd.Context(), "/api/v1/log/off", map[string]string{"id": strings.Join(args, "")}, &ended); err != nil {
			return err
		}
		if err := ask.print(cmd.OutOrStdout(), ended, []string{"Ended"}, [][]string{{strconv.Itoa(ended.Ended)}}); err != nil {
			return err
		}
		var status admin.LogStatus
		if err := ask.get(cmd.Context(), "/api/v1/log", &status); err != nil {
			return err
		}
		if slices.ContainsFunc(status.Rules, func(r admin.LogRule) bool { return r.ID == protolog.RuleOfSetting }) {
			fmt.Fprintln(cmd.ErrOrStderr(), "Everything is still logged: portico settings set ProtocolLogEnabled=false ends that.")
		}
		return nil
	}
	return cmd
}

func newLogStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell what the protocol log is switched on for, and whether its files can be written",
		Args:  cobra.NoArgs,
	}
	ask := askHere(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var status admin.LogStatus
		if err := ask.get(cmd.Context(), "/api/v1/log", &status); err != nil {
			return err
		}
		if err := ask.rules(cmd, status, status.Rules); err != nil {
			return err
		}
		if ask.output != "json" {
			fmt.Fprintf(cmd.OutOrStdout(), "\n%d rows written, %d dropped, %d watching; file: %s\n",
				status.Rows, status.Dropped, status.Watchers, orNone(status.File))
		}
		if status.Pending && ask.output != "json" {
			fmt.Fprintln(cmd.OutOrStdout(), "The last change is not in effect yet in all open sessions.")
		}
		if status.Failing != "" {
			if ask.output != "json" {
				fmt.Fprintf(cmd.OutOrStdout(), "Nothing can be written since %s: %s\n", status.Since.Local().Format(time.DateTime), status.Failing)
			}
			return errBadNews
		}
		return nil
	}
	return cmd
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// rules prints rules; as JSON it prints value.
func (a *asking) rules(cmd *cobra.Command, value any, rules []admin.LogRule) error {
	rows := [][]string{}
	for _, r := range rules {
		what := []string{}
		for _, part := range []struct{ name, value string }{
			{"user", r.User}, {"ip", r.IP}, {"server", r.Server}, {"session", r.Session}, {"command", r.Command},
		} {
			if part.value != "" {
				what = append(what, part.name+" "+part.value)
			}
		}
		if r.Slower > 0 {
			what = append(what, "slower than "+inSeconds(r.Slower).String())
		}
		if len(what) == 0 {
			what = []string{"everything"}
		}
		until := "it is switched off"
		if r.Until != nil {
			until = r.Until.Local().Format(time.DateTime)
		}
		since := ""
		if !r.Since.IsZero() {
			since = r.Since.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{r.ID, strings.Join(what, ", "), since, until})
	}
	return a.print(cmd.OutOrStdout(), value, []string{"Rule", "Logs", "Since", "Until"}, rows)
}

func newLogTail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show rows of the protocol log as they come, whether it is on or not",
		Long: "Tail shows the rows of sessions that fit all that is given, open ones too, until it is interrupted. It needs no rule, and nothing\n" +
			"goes to the files for it. Who reads too slowly loses rows, and a line says how many.",
		Example: "  portico log tail --user 'ann@*'\n  portico log tail --slower 1s -o json",
		Args:    cobra.NoArgs,
	}
	ask := rowFlags(cmd)
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		query := filter().Query()
		query.Set("format", ask.output)
		err := ask.stream(ctx, "/api/v1/log/stream?"+query.Encode(), cmd.OutOrStdout())
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return cmd
}

func newLogShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show a past session's rows that the protocol log's files have",
		Args:  cobra.NoArgs,
	}
	ask := rowFlags(cmd)
	session := cmd.Flags().String("session", "", "`ID` of the session, as rows and the program's log have it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *session == "" {
			return errors.New("--session says which")
		}
		return ask.stream(cmd.Context(), "/api/v1/log/sessions/"+*session+"?format="+ask.output, cmd.OutOrStdout())
	}
	return cmd
}

// rowFlags are askFlags for commands that print rows.
func rowFlags(cmd *cobra.Command) *asking {
	ask := askHere(cmd)
	ask.forms = []string{"csv", "json"}
	output := cmd.Flags().Lookup("output")
	output.Usage, output.DefValue = "how rows are written: `csv or json`", "csv"
	ask.output = "csv"
	return ask
}

// stream copies what goes on at a path.
func (a *asking) stream(ctx context.Context, path string, out io.Writer) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	body, err := c.Stream(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(out, body); err != nil {
		return fmt.Errorf("portico has gone: %w", err)
	}
	return nil
}
