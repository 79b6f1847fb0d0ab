package cli

import (
	"bufio"
	"context"
	"io"
	"strings"
	"sync"

	"portico/health/admin"
	"portico/protolog"
)

// foundRows are the rows that a node has found, oldest first.
type foundRows struct {
	node  string
	body  io.ReadCloser
	lines *bufio.Scanner
	line  string // the next row; "" at the end
}

// search shows the rows that several nodes find, oldest first. The first node is the one that the command talks to. If
// no node has a row, the error is of KindUnknown. A node whose rows are missing is named.
func (n *nodeRows) search(ctx context.Context, nodes []string) error {
	found, unknown := n.ask(ctx, nodes)
	for _, rows := range found {
		defer rows.body.Close()
		if err := n.advance(rows); err != nil {
			return err
		}
	}
	for shown := 0; ; shown++ {
		next := oldest(found)
		switch {
		case next == nil && shown == 0:
			return unknown
		case next == nil:
			return nil
		}
		if err := n.show(next.node, next.line); err != nil {
			return err
		}
		if err := n.advance(next); err != nil {
			return err
		}
	}
}

// ask begins the search on all nodes at once. unknown is the error of a node without such rows.
func (n *nodeRows) ask(ctx context.Context, nodes []string) (found []*foundRows, unknown error) {
	bodies, errs := make([]io.ReadCloser, len(nodes)), make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, node := range nodes {
		way := *n.api
		if i > 0 {
			way.node = node
		}
		asked.Go(func() { bodies[i], errs[i] = way.stream(ctx, n.path) })
	}
	asked.Wait()
	for i, node := range nodes {
		switch {
		case errs[i] == nil:
			lines := bufio.NewScanner(bodies[i])
			lines.Buffer(nil, protolog.MaxRow)
			found = append(found, &foundRows{node: node, body: bodies[i], lines: lines})
		case admin.KindOf(errs[i]) == admin.KindUnknown:
			unknown = errs[i]
		default:
			n.lost(node, errs[i])
		}
	}
	return found, unknown
}

// lost names a node whose rows are missing, or their end.
func (n *nodeRows) lost(node string, err error) {
	n.incomplete = errBadNews
	n.api.noteMissing([]missingNode{{node, err}})
}

// advance goes to a node's next row. It shows the names of the fields.
func (n *nodeRows) advance(rows *foundRows) error {
	for rows.lines.Scan() {
		rows.line = rows.lines.Text()
		if !strings.HasPrefix(rows.line, "#") {
			return nil
		}
		if err := n.show(rows.node, rows.line); err != nil {
			return err
		}
	}
	rows.line = ""
	if err := rows.lines.Err(); err != nil {
		n.lost(rows.node, err)
	}
	return nil
}

// oldest returns the node that has the oldest of the next rows, nil if there is none.
func oldest(found []*foundRows) (first *foundRows) {
	for _, rows := range found {
		if rows.line != "" && (first == nil || timeIn(rows.line) < timeIn(first.line)) {
			first = rows
		}
	}
	return first
}

// timeIn returns the time of a row in either form, which sorts as a text: it is in UTC and has a fixed width.
func timeIn(line string) string {
	at, _, _ := strings.Cut(strings.TrimPrefix(line, `{"dateTime":"`), ",")
	return strings.TrimSuffix(at, `"`)
}
