// Package demo runs a complete mail system on loopback to try Portico with: mailbox servers in memory, users, mail, a
// configuration, and commands to paste. The caller passes in the function that serves Portico; the package does not
// know how to do that.
package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// Default ports of the demo.
const (
	IMAPPort  = 1143
	IMAPSPort = 1993
	HTTPPort  = 8143
)

// Options are the folder and the ports of a demo. Port 0 means any free port.
type Options struct {
	Dir                           string // for its files; "" means a temporary folder, removed at the end
	IMAPPort, IMAPSPort, HTTPPort uint16 // of the first node; the next one has the next ports
	Nodes                         int    // for RunNodes
}

// Started is called once Portico accepts clients, with the addresses of its IMAP listeners and of HTTP.
type Started = func(listeners []net.Addr, http net.Addr)

// Run runs a demo until serve returns, and prints commands to try to out. serve runs a Portico with the given
// configuration file. If a port is in use, the error is a PortsTaken.
func Run(ctx context.Context, o Options, out io.Writer, serve func(file string, started Started) error) error {
	dir, remove, err := folder(o.Dir)
	if err != nil {
		return err
	}
	defer remove()
	if err := o.pickPorts(ctx); err != nil {
		return err
	}
	site, err := startSite(dir)
	if err != nil {
		return err
	}
	defer site.close()
	file, err := site.writeConfig(o)
	if err != nil {
		return err
	}
	control, err := site.openControl(ctx)
	if err != nil {
		return err
	}
	defer control.Close()
	return serve(file, func(listeners []net.Addr, http net.Addr) {
		io.WriteString(out, site.welcome(listeners, http))
	})
}

// folder makes the folder of the demo's files, and says how to get rid of it.
func folder(dir string) (path string, remove func(), err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "portico-demo-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", nil, fmt.Errorf("create a folder for the demo: %w", err)
	}
	return dir, func() {}, nil
}
