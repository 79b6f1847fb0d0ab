// Package demo is a whole mail system on loopback to try Portico on: mailbox servers in memory, users, mail, a
// configuration, and lines to paste. It gets the Portico in front of them from its caller and does not know how one is
// served.
package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// Where the demo is, unless told otherwise.
const (
	IMAPPort  = 1143
	IMAPSPort = 1993
	HTTPPort  = 8143
)

// Options say where a demo is. A port of 0 is a free one.
type Options struct {
	Dir                           string // of its files; "" is a temporary one that is removed at the end
	IMAPPort, IMAPSPort, HTTPPort uint16
}

// Started gets the addresses of a Portico that takes clients.
type Started = func(listeners []net.Addr, http net.Addr)

// Run runs a demo until serve returns, which runs a Portico from a configuration file, and prints to out what to try.
// The error is PortsTaken if it cannot have its ports.
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
		return "", nil, fmt.Errorf("folder for the demo: %w", err)
	}
	return dir, func() {}, nil
}
