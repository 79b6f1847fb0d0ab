package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"portico/backend/secret"
	"portico/configs"
	"portico/health/admin/client"
	"portico/proxy/wire"
)

// asking is what commands that ask a running Portico have in common.
type asking struct {
	admin     string // --admin
	tokenFile string
	output    string
	server    string   // another node
	forms     []string // of output
}

// askFlags gives a command those flags.
func askFlags(cmd *cobra.Command) *asking {
	a := askHere(cmd)
	cmd.Flags().StringVar(&a.server, "server", "", "ask this `node` through the Portico that is asked; see nodes in the configuration")
	return a
}

// askHere is askFlags for commands that only ask this node.
func askHere(cmd *cobra.Command) *asking {
	a := &asking{forms: []string{"table", "list", "json"}}
	cmd.Flags().StringVar(&a.admin, "admin", os.Getenv("PORTICO_ADMIN"), "`socket or URL` of the Portico to ask; PORTICO_ADMIN by default, then "+client.DefaultSocket+", then "+client.DefaultURL)
	cmd.Flags().StringVar(&a.tokenFile, "token-file", "", "`file` with the token, for an URL that wants one")
	cmd.Flags().StringVarP(&a.output, "output", "o", "table", "how results are written: `table, list or json`")
	return a
}

// get reads what the running Portico shows at a path.
func (a *asking) get(ctx context.Context, path string, into any) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	return c.Get(ctx, path, into)
}

// post asks for a change, and reads what came of it.
func (a *asking) post(ctx context.Context, path string, body, into any) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	return c.Post(ctx, path, body, into)
}

// check says whether results can be written so.
func (a *asking) check() error {
	if !slices.Contains(a.forms, a.output) {
		return fmt.Errorf("--output must be one of %s, is %q", strings.Join(a.forms, ", "), a.output)
	}
	return nil
}

// client returns who to ask.
func (a *asking) client() (*client.Client, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	var token secret.Value
	if a.tokenFile != "" {
		text, err := configs.ReadToken(a.tokenFile)
		if err != nil {
			return nil, err
		}
		token = secret.Value(text)
	}
	asked := client.New(a.admin, token)
	if a.server != "" {
		asked = asked.Of(a.server)
	}
	return asked, nil
}

// print writes rows below their heads, as the flags say; as JSON it writes value. Clients have chosen some of what is in rows, such as user names.
func (a *asking) print(out io.Writer, value any, heads []string, rows [][]string) error {
	for _, row := range rows {
		for i := range row {
			row[i] = wire.Visible(row[i])
		}
	}
	switch a.output {
	case "json":
		text, err := json.MarshalIndent(value, "", "  ")
		if err == nil {
			_, err = out.Write(append(visibleJSON(text), '\n'))
		}
		return err
	case "list":
		for i, row := range rows {
			if i > 0 {
				fmt.Fprintln(out)
			}
			table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
			for j, head := range heads {
				fmt.Fprintf(table, "%s\t: %s\n", head, row[j])
			}
			table.Flush()
		}
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		fmt.Fprintln(table, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return table.Flush()
}

// visibleJSON writes what no terminal should show as JSON's own escapes, which change no value.
func visibleJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r == '\n' || wire.Visible(string(r)) == string(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// visibleText is wire.Visible for a text that has lines and tabs of ours. Errors show user names, and what mailbox servers say.
func visibleText(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' {
			out.WriteRune(r)
		} else {
			out.WriteString(wire.Visible(string(r)))
		}
	}
	return out.String()
}

// inSeconds is a time as the API tells it.
func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// yesNo is a flag as people read it.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
