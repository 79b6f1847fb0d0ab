package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/client"
	"portico/health/admin/table"
)

// Commands about the whole site ask all its nodes, through the node that they talk to. If one does not answer, they
// show what the others have answered, name it on standard error, and exit with StatusBad.

// aboutSite ends the help of commands about the whole site.
const aboutSite = `

If there are other nodes, of the cluster or under nodes in the configuration, the
command asks all of them side by side. If one does not answer within 2 seconds,
the results of the others are shown, standard error names it, and the exit status
is 1.`

// siteFlags is apiFlags for a command about the whole site.
func siteFlags(cmd *cobra.Command, forms ...table.Form) *apiCommand {
	a := apiFlags(cmd, forms...)
	a.site = true
	cmd.Flags().Lookup("node").Usage = "ask only the node with this `name`; by default all nodes are asked"
	return a
}

// fromNodes is what the nodes have answered to a request.
type fromNodes[Answer any] struct {
	answers []fromNode[Answer]
	several bool // the site has several nodes, so that results name theirs
	missing []missingNode
}

// fromNode is a node's answer.
type fromNode[Answer any] struct {
	node   string // "" unless the site has several nodes
	answer Answer
}

// missingNode is a node whose answer is missing, and why.
type missingNode struct {
	node string
	err  error
}

// incomplete returns the error that ends a command with StatusBad if a node's answer is missing.
func (f *fromNodes[Answer]) incomplete() error {
	if len(f.missing) > 0 {
		return errBadNews
	}
	return nil
}

// list lists the answers.
func (f *fromNodes[Answer]) list() (answers []Answer) {
	for _, from := range f.answers {
		answers = append(answers, from.answer)
	}
	return answers
}

// getAll reads the answers of all nodes at a path of the API. If no node answers, the error is that of the node that
// was asked first.
func getAll[Answer any](ctx context.Context, a *apiCommand, path string) (*fromNodes[Answer], error) {
	return collect[Answer](ctx, a, path, func(c *client.Client, path string, into any) error {
		return c.Get(ctx, path, into)
	})
}

// postAll sends body to a path of the API on all nodes, and reads the answers as getAll does.
func postAll[Answer any](ctx context.Context, a *apiCommand, path string, body any) (*fromNodes[Answer], error) {
	return collect[Answer](ctx, a, path, func(c *client.Client, path string, into any) error {
		return c.Post(ctx, path, body, into)
	})
}

// collect sends a request to all nodes, or with --node to one. It writes a note about each node whose answer is
// missing. A node that does not know a name in the request has nothing by that name: its answer is not missing.
func collect[Answer any](ctx context.Context, a *apiCommand, path string,
	send func(c *client.Client, path string, into any) error) (*fromNodes[Answer], error) {
	c, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	if a.node != "" {
		var one fromNode[Answer]
		if err := send(c, path, &one.answer); err != nil {
			return nil, err
		}
		return &fromNodes[Answer]{answers: []fromNode[Answer]{one}}, nil
	}
	var site admin.SiteAnswer
	if err := send(c, admin.SitePath(path), &site); err != nil {
		return nil, err
	}
	all, errs := &fromNodes[Answer]{several: len(site.Nodes) > 1}, []error(nil)
	for _, n := range site.Nodes {
		answer, err := answerIn[Answer](n)
		switch {
		case err != nil:
			errs = append(errs, err)
			if admin.KindOf(err) != admin.KindUnknown {
				all.missing = append(all.missing, missingNode{n.Node, err})
			}
		case all.several:
			all.answers = append(all.answers, fromNode[Answer]{n.Node, answer})
		default:
			all.answers = append(all.answers, fromNode[Answer]{answer: answer})
		}
	}
	if len(site.Nodes) == 0 {
		return nil, errors.New("the answer has no nodes: the program is another version of Portico, or not Portico")
	}
	if len(all.answers) > 0 {
		a.noteMissing(all.missing)
		return all, nil
	}
	a.noteMissing(slices.DeleteFunc(all.missing, func(m missingNode) bool { return m.err == errs[0] }))
	return nil, errs[0]
}

// answerIn returns a node's answer, or its problem as an error with a kind.
func answerIn[Answer any](n admin.NodeAnswer) (answer Answer, err error) {
	if n.Problem != nil {
		return answer, admin.Of(n.Problem.Kind, errors.New(n.Problem.Detail))
	}
	if err := json.Unmarshal(n.Answer, &answer); err != nil {
		return answer, admin.Of(admin.KindUnreachable, fmt.Errorf("it is another version of Portico: %w", err))
	}
	return answer, nil
}

// noteMissing names nodes whose answer is missing, each once: a command may ask several times.
func (a *apiCommand) noteMissing(nodes []missingNode) {
	for _, m := range nodes {
		if !slices.Contains(a.noted, m.node) {
			a.noted = append(a.noted, m.node)
			a.note("node %s: %v", m.node, m.err)
		}
	}
}

// rowsOf joins the rows of all nodes. nodeOf is where a row names its node, if the site has several.
func rowsOf[Row any](f *fromNodes[[]Row], nodeOf func(*Row) *string) []Row {
	all := []Row{}
	for _, from := range f.answers {
		for _, row := range from.answer {
			*nodeOf(&row) = from.node
			all = append(all, row)
		}
	}
	return all
}

// oneOrAll is what -o json prints: the values of all nodes if the site has several, and else the only one.
func oneOrAll[T any](several bool, all []T) any {
	if several {
		return all
	}
	return all[0]
}

// nodes lists the nodes that a command about the whole site asks, the one that it talks to first. With --node it is
// that one.
func (a *apiCommand) nodes(ctx context.Context) ([]string, error) {
	if a.node != "" {
		return []string{a.node}, nil
	}
	var names admin.Names
	err := a.get(ctx, admin.PathNames, &names)
	others := slices.DeleteFunc(names.Nodes, func(other string) bool { return other == names.Node })
	return append([]string{names.Node}, others...), err
}

// elsewhere returns the answers of all nodes at a path, for a command about the whole site that has not found a name on
// the node that it talks to. It is nil for other commands.
func elsewhere[Answer any](ctx context.Context, a *apiCommand, path string) []fromNode[Answer] {
	if !a.site || a.node != "" {
		return nil
	}
	quiet := *a
	quiet.notes = io.Discard
	all, err := getAll[Answer](ctx, &quiet, path)
	if err != nil {
		return nil
	}
	return all.answers
}
