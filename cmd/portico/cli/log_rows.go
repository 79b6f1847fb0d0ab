package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/protolog"
)

// formCSV is the form of the protocol log's own files.
const formCSV table.Form = "csv"

func newLogTail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the protocol log, whether it is on or off",
		Long: `Tail shows new rows of the sessions that match all filters, including open ones,
until you interrupt it. It needs no rule and writes nothing to the files. If the
reader is too slow, rows are dropped, and a line says how many. If the
configuration has other nodes, tail follows all of them, and each row names its
node. A note says if a node is lost; tail asks it again.` + logTimes,
		Example: "  portico log tail --user 'ann@*'\n  portico log tail --slower 1s -o json",
		Args:    cobra.NoArgs,
	}
	api := siteFlags(cmd, formCSV)
	filter, zone := api.filterFlags(cmd, api.existing), utcFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		wanted, err := filter(ctx)
		if err != nil {
			return err
		}
		nodes, err := api.nodes(ctx)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		style := table.Style{Form: api.form, NoHeaders: api.noHeaders,
			Width: table.TerminalWidth(out, os.Getenv("COLUMNS"))}
		path := admin.PathLogStream + "?" + wanted.Query().Encode()
		if len(nodes) > 1 {
			flow := rowTable("Node").Flow(out, style)
			return api.followNodes(ctx, cmd, path, nodes, func(node string, r protolog.Row) error {
				return flow.Add(r[1], rowCells(r, zone(), node)...)
			})
		}
		flow := rowTable().Flow(out, style)
		err = api.rows(ctx, cmd, path, func(r protolog.Row) error { return flow.Add(r[1], rowCells(r, zone())...) })
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return cmd
}

// rowTable has a column for each field of a row, and further ones behind the time.
func rowTable(further ...string) *table.Table {
	return table.New(slices.Concat([]string{"Time"}, further,
		[]string{"User", "Command", "Parameters", "Took", "Result"})...).
		Wide("Session", "Number", "Client", "Listener", "Request", "Response", "Context").
		Keep("Command", "Took", "Result")
}

// logTimes explains the zone of times.
const logTimes = "\n\nTimes are local, or UTC with --utc. With -o csv and -o json the rows are as in\n" +
	"the files, in UTC."

// utcFlag gives a command --utc, and returns the zone to show times in.
func utcFlag(cmd *cobra.Command) func() *time.Location {
	utc := cmd.Flags().Bool("utc", false, "show times in UTC")
	return func() *time.Location {
		if *utc {
			return time.UTC
		}
		return time.Local
	}
}

// rowTime converts the time of a row to a zone.
func rowTime(text string, zone *time.Location) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return table.PreciseTime(at, zone)
}

// rowCells returns the cells of a row for rowTable.
func rowCells(r protolog.Row, zone *time.Location, further ...string) []string {
	return slices.Concat([]string{rowTime(r[0], zone)}, further, []string{r[5], r[9], r[10], r[6] + "ms",
		resultIn(r[11]), r[1], r[2], r[4], r[3], r[7], r[8], r[11]})
}

// resultIn returns the result of the command in a row's context.
func resultIn(context string) string {
	rest, ok := strings.CutPrefix(context, "R=")
	if !ok {
		return ""
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		rest, _, _ = strings.Cut(quoted, `"`)
		return rest
	}
	rest, _, _ = strings.Cut(rest, ";")
	return rest
}

// raw reports whether to write rows in the form of the protocol log's files.
func (a *apiCommand) raw() bool { return a.form == formCSV || a.form == table.JSON }

// rows reads a stream of rows at a path. It writes raw rows, and yields others.
func (a *apiCommand) rows(ctx context.Context, cmd *cobra.Command, path string, yield func(protolog.Row) error) error {
	body, err := a.stream(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if a.raw() {
		err = copyRows(cmd.OutOrStdout(), body, a.noHeaders)
	} else {
		err = parseRows(body, cmd.ErrOrStderr(), yield)
	}
	if err != nil {
		return fmt.Errorf("lost the connection to Portico: %w", err)
	}
	return nil
}

// stream opens a stream of rows at a path.
func (a *apiCommand) stream(ctx context.Context, path string) (io.ReadCloser, error) {
	c, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	format := formCSV
	if a.form == table.JSON {
		format = table.JSON
	}
	return c.Stream(ctx, path+"&format="+string(format))
}

func copyRows(out io.Writer, body io.Reader, noHeaders bool) error {
	in := bufio.NewReader(body)
	if start, _ := in.Peek(1); noHeaders && string(start) == "#" {
		if _, err := in.ReadSlice('\n'); err != nil {
			return err
		}
	}
	_, err := io.Copy(out, in)
	return err
}

// parseRows yields rows. It writes other lines to notes; they say how many rows were lost.
func parseRows(body io.Reader, notes io.Writer, yield func(protolog.Row) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, protolog.MaxRow)
	for lines.Scan() {
		line := lines.Bytes()
		if strings.HasPrefix(string(line), "#Fields") {
			continue
		}
		row, err := protolog.ParseRow(line)
		if err != nil {
			fmt.Fprintln(notes, visibleText(string(line)))
			continue
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return lines.Err()
}
