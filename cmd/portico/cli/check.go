package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"portico/configs"
	"portico/health/admin/table"
)

func newCheck(node Node) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file and report all errors",
		Long: `Check reads a configuration file, and the certificates, keys, tokens and map
files that it names. It prints every error and warning with file, line and
column, and lists the settings that a change at run time overrides.

Everything that would stop Portico at start is an error: a file that cannot be
used, a damaged store, or other databases than those that "routing: hash"
spreads users over. A database whose active copy is not configured is an error
too: a reload rejects it, and a start keeps its users out.

Check warns of databases that no probe opens, of probes that may take longer
than their interval, of sites that lock users out when two servers fail at the
same time, and of nodes that share their name with a mailbox server. It opens no
port and changes nothing.

Exit status: 0 the file can be used, 1 it has errors, 2 it cannot be read.`,
		Args: cobra.NoArgs,
	}
	file, output := configFlag(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := node.Check(cmd.Context(), *file)
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

// findings prints the problems of a file: for people one line each, as compilers do, and a verdict.
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
