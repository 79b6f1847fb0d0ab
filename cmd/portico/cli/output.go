package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/proxy/wire"
)

// output holds the flags about the form of results.
type output struct {
	form      table.Form
	noHeaders bool
}

// outputFlags gives a command -o and --no-headers. further are forms besides the usual ones.
func outputFlags(cmd *cobra.Command, further ...table.Form) *output {
	o := &output{form: table.Plain}
	forms := append(table.Forms(), further...)
	cmd.Flags().VarP(formValue{&o.form, forms}, "output", "o", "output form: `"+formNames(forms)+"`")
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "leave out the line with the column names")
	return o
}

// formValue is the value of -o. It implements pflag.Value.
type formValue struct {
	form  *table.Form
	forms []table.Form
}

func (v formValue) String() string {
	if v.form == nil {
		return ""
	}
	return string(*v.form)
}

func (v formValue) Type() string { return "form" }

func (v formValue) Set(text string) error {
	if !slices.Contains(v.forms, table.Form(text)) {
		return fmt.Errorf("it must be %s", formNames(v.forms))
	}
	*v.form = table.Form(text)
	return nil
}

func formNames(forms []table.Form) string {
	names := make([]string, len(forms))
	for i, form := range forms {
		names[i] = string(form)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// print writes rows as the flags say; as JSON it writes value. People are told if there are no rows.
func (o *output) print(cmd *cobra.Command, value any, t *table.Table) error {
	out := cmd.OutOrStdout()
	style := table.Style{Form: o.form, NoHeaders: o.noHeaders, Width: table.TerminalWidth(out, os.Getenv("COLUMNS"))}
	err := t.Write(out, style, value)
	if err == nil && t.Len() == 0 && o.forPeople() {
		fmt.Fprintln(cmd.ErrOrStderr(), "(none)")
	}
	return err
}

// printChanged prints the old and new values of changes.
func (o *output) printChanged(cmd *cobra.Command, changes ...admin.Change) error {
	all := make([]nodeChange, len(changes))
	for i, c := range changes {
		all[i].Change = c
	}
	return o.printChangedOn(cmd, all)
}

// nodeChange is a change on a node.
type nodeChange struct {
	admin.Change
	Node string `json:"node,omitempty"` // "" unless the site has several
}

// printChangedOn prints the old and new values of changes on nodes.
func (o *output) printChangedOn(cmd *cobra.Command, changes []nodeChange) error {
	rows, same := table.New("What", "Was", "Now"), true
	var nodes []string
	for _, c := range changes {
		nodes = append(nodes, c.Node)
		rows.AddNamed(nameIn(c.What), c.What, c.Was, c.Now)
		same = same && c.Was == c.Now
	}
	if same && o.forPeople() {
		fmt.Fprintln(cmd.ErrOrStderr(), "portico: nothing has changed: it was already so")
	}
	return o.print(cmd, changes, rows.Second("Node", nodes))
}

// nameIn returns the name in the description of a change, in the form that other commands take: db1 in "active copy of
// db1", r1 in "rule r1".
func nameIn(what string) string {
	words := strings.Fields(what)
	if len(words) == 0 || strings.Contains(words[0], "/") { // an override: IDENTITY PROPERTY
		return strings.Join(words[:min(len(words), 1)], "")
	}
	return words[len(words)-1]
}

// forPeople reports whether sentences may stand around a table, because no program reads it.
func (o *output) forPeople() bool {
	return (o.form == table.Plain || o.form == table.Wide) && !o.noHeaders
}

// visibleText is like wire.Visible, but keeps line ends and tabs. Errors contain user names and texts of mailbox
// servers.
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

// inSeconds converts a time of the API, in seconds.
func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// yesNo formats a boolean.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shownTime formats a time; nil is "".
func shownTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return table.Time(*t)
}
