package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"portico/backend/backendtest"
)

// MaxNodes is how many nodes a demo may have.
const MaxNodes = 9

// node is a Portico of a demo of several, in a process of its own.
type node struct {
	name string
	file string // its configuration
	Options
	process *backendtest.Daemon // nil before it was started
}

// RunNodes is Run for a site of several nodes, each a process, which agree over an etcd of this machine. It ends with
// ctx.
func RunNodes(ctx context.Context, o Options, out io.Writer) (err error) {
	dir, remove, err := folder(o.Dir)
	if err != nil {
		return err
	}
	defer remove()
	etcd, err := backendtest.StartEtcd(ctx, 1)
	if missing := new(backendtest.MissingError); errors.As(err, &missing) {
		return fmt.Errorf("%w: nodes agree over etcd; install it, for example with apt-get install etcd-server, or "+
			"run the demo without --nodes", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, etcd[0].Close()) }()
	site, err := startSite(dir)
	if err != nil {
		return err
	}
	defer site.close()
	nodes, err := site.writeNodes(ctx, o, etcd[0])
	if err != nil {
		return err
	}
	control, err := site.openControl(ctx)
	if err != nil {
		return err
	}
	defer control.Close()
	return site.runNodes(ctx, nodes, out)
}

// writeNodes writes the configuration of each node.
func (d *site) writeNodes(ctx context.Context, o Options, etcd *backendtest.Daemon) (nodes []*node, err error) {
	for i := range o.Nodes {
		n := &node{name: fmt.Sprintf("mx%d", i+1), Options: o}
		for _, port := range []*uint16{&n.IMAPPort, &n.IMAPSPort, &n.HTTPPort} {
			if *port != 0 {
				*port += uint16(i)
			}
		}
		if err := n.pickPorts(ctx); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		data := n.name + ".data"
		own := strings.NewReplacer("socket: admin.sock", "socket: "+n.name+".sock", "data_dir: data", "data_dir: "+data)
		text := fmt.Sprintf(clusterSection, n.name, n.HTTPPort, etcd.Address)
		if n.file, err = d.writeConfigAs(n.name+".yaml", own.Replace(d.configFor(n.Options))+text); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(d.path(data)); err != nil { // it is of the demo before, whose etcd is gone
			return nil, err
		}
	}
	return nodes, d.write(map[string]string{"health.password": password, "admin.token": d.token,
		"cluster.secret": rand.Text() + rand.Text(), "etcd.pid": fmt.Sprint(etcd.PID())})
}

const clusterSection = `cluster:
  name: %s
  advertise: http://127.0.0.1:%d
  secret_file: cluster.secret
  etcd: {endpoints: ["http://%s"]}
`

// runNodes makes a site of the first node, starts all, and returns when ctx ends or no node is left.
func (d *site) runNodes(ctx context.Context, nodes []*node, out io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	begin := exec.CommandContext(ctx, program, "cluster", "init", "--config", nodes[0].file)
	if text, err := begin.CombinedOutput(); err != nil {
		return fmt.Errorf("portico cluster init: %w\n%s", err, text)
	}
	defer stopNodes(nodes)
	for _, n := range nodes {
		if err := d.startNode(ctx, n, program); err != nil {
			return fmt.Errorf("node %s: %w; see %s", n.name, err, d.path(n.name+".log"))
		}
	}
	if _, err := io.WriteString(out, d.welcomeNodes(nodes, quoted(program))); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// startNode starts a node, and returns when it takes clients. It ends with this process, for whatever reason.
func (d *site) startNode(ctx context.Context, n *node, program string) error {
	log, err := os.OpenFile(d.path(n.name+".log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the node has its own
	n.process = backendtest.NewProgram(n.address(n.IMAPPort), log, program, "serve", "--config", n.file)
	if err := n.process.Start(ctx); err != nil {
		return err
	}
	return d.write(map[string]string{n.name + ".pid": fmt.Sprint(n.process.PID())})
}

// stopNodes ends all nodes at once.
func stopNodes(nodes []*node) {
	var ending sync.WaitGroup
	for _, n := range nodes {
		if n.process != nil {
			ending.Go(func() { n.process.Stop() }) // how it ended is in its log
		}
	}
	ending.Wait()
}

func (n *node) address(port uint16) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// welcomeNodes is what a demo of several nodes prints when it runs.
func (d *site) welcomeNodes(nodes []*node, program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The demo is running; Ctrl-C ends it. Its files are in %s\n", d.dir)
	fmt.Fprintf(&b, "Every user's password is %q. Users: %s.\n", password, strings.Join(userNames, ", "))
	for _, n := range nodes {
		fmt.Fprintf(&b, "Node %s: IMAP %s, console http://%s/, log %s.log, process ID in %[1]s.pid\n", n.name,
			n.address(n.IMAPPort), n.address(n.HTTPPort), n.name)
	}
	fmt.Fprintf(&b, "The consoles take the token %s for changes. The process ID of etcd is in etcd.pid.\n", d.token)
	fmt.Fprintf(&b, "\nTo paste into another terminal:\n")
	for _, l := range d.nodeLines(nodes, program) {
		fmt.Fprintf(&b, "\n%s:\n%s\n", l.what, l.line)
	}
	b.WriteString("\n")
	return b.String()
}

// nodeLines are what to try with several nodes.
func (d *site) nodeLines(nodes []*node, program string) []line {
	first, last := nodes[0], nodes[len(nodes)-1]
	admin := func(n *node) string { return "--admin " + quoted(d.path(n.name+".sock")) }
	pid := func(name string) string { return "$(cat " + quoted(d.path(name+".pid")) + ")" }
	return []line{
		{"alice's folders, through " + last.name,
			fmt.Sprintf("curl -sS -u alice:demo imap://%s/", last.address(last.IMAPPort))},
		{"move a database, on " + first.name, fmt.Sprintf("%s database move db1 mbx2 %s", program, admin(first))},
		{"where it is, as " + last.name + " sees it", fmt.Sprintf("%s database status %s", program, admin(last))},
		{"the nodes", fmt.Sprintf("%s cluster status %s", program, admin(first))},
		{"kill a node; a database does not move while a node is absent that may serve it", "kill -9 " + pid(last.name)},
		{"start it again", fmt.Sprintf("%s serve --config %s", program, quoted(last.file))},
		{"stop etcd: users notice nothing, and changes are refused; kill -CONT lets it go on",
			"kill -STOP " + pid("etcd")},
	}
}
