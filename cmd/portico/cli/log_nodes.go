package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/protolog"
)

// retryNode is how long log tail waits before it asks a lost node again.
const retryNode = 2 * time.Second

// nodeRows shows the rows of several nodes: as they come, or those that a search finds.
type nodeRows struct {
	api   *apiCommand
	cmd   *cobra.Command
	path  string
	yield func(node string, r protolog.Row) error

	mu   sync.Mutex // one line at a time
	head bool       // the line with the names of the fields is written

	incomplete error // not nil: the answer of a node to a search is missing, or its end
}

// followNodes follows the rows at a path on several nodes until ctx ends. It yields rows, unless it writes them raw. A
// note says if a node is lost; it is asked again. The first node is the one that the command talks to.
func (a *apiCommand) followNodes(ctx context.Context, cmd *cobra.Command, path string, nodes []string,
	yield func(node string, r protolog.Row) error) error {
	rows := &nodeRows{api: a, cmd: cmd, path: path, yield: yield}
	var followers sync.WaitGroup
	for i, node := range nodes {
		way := *a
		if i > 0 {
			way.node = node
		}
		followers.Go(func() { rows.follow(ctx, &way, node) })
	}
	followers.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("no node can be followed")
}

// follow follows the rows of a node. It returns when ctx ends, or when asking again is of no use.
func (n *nodeRows) follow(ctx context.Context, way *apiCommand, node string) {
	for lost := false; ctx.Err() == nil; {
		body, err := way.stream(ctx, n.path)
		if err == nil {
			if lost {
				n.note("node %s answers again", node)
			}
			lost = false
			err = cmp.Or(n.copy(node, body), errors.New("the connection has ended"))
			body.Close()
		}
		switch again := worthAsking(err); {
		case ctx.Err() != nil, lost && again:
		case again:
			n.note("node %s: %v; trying again", node, err)
			lost = true
		default:
			n.note("node %s: %v", node, err)
			return
		}
		select {
		case <-time.After(retryNode):
		case <-ctx.Done():
		}
	}
}

// worthAsking reports whether a request that has failed may succeed later.
func worthAsking(err error) bool {
	return !slices.Contains([]admin.Kind{admin.KindInvalid, admin.KindUnknown, admin.KindUnsupported,
		admin.KindUnauthenticated, admin.KindForbidden, admin.KindMisdirected}, admin.KindOf(err))
}

func (n *nodeRows) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.api.note(format, args...)
}

// copy shows the rows of a stream.
func (n *nodeRows) copy(node string, body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, protolog.MaxRow)
	for lines.Scan() {
		if err := n.show(node, lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// show shows a line of a node's stream: a row, the names of the fields, or how many rows were lost.
func (n *nodeRows) show(node, line string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	row, err := protolog.ParseRow([]byte(line))
	switch {
	case strings.HasPrefix(line, "#Fields"):
		if n.head || n.api.noHeaders || !n.api.raw() {
			return nil
		}
		n.head, line = true, line+",node"
	case n.api.raw():
		line = withNode(line, node)
	case err != nil:
		n.api.note("node %s: %s", node, line)
		return nil
	default:
		return n.yield(node, row)
	}
	_, err = fmt.Fprintln(n.cmd.OutOrStdout(), line)
	return err
}

// withNode adds the node to a raw line.
func withNode(line, node string) string {
	if rest, ok := strings.CutPrefix(line, "{"); ok {
		name, _ := json.Marshal(node) // of a string, never fails
		return `{"node":` + string(name) + "," + rest
	}
	if strings.HasPrefix(line, "#") {
		return line + " of node " + node
	}
	var field strings.Builder
	w := csv.NewWriter(&field)
	w.Write([]string{node})
	w.Flush()
	return line + "," + strings.TrimSuffix(field.String(), "\n")
}
