package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/backend/backendtest"
	"portico/health/admin"
	"portico/health/admin/client"
)

// demoSocket is the demo's own socket, in its folder beside admin.sock. It takes outages of the demo's mailbox
// servers, of which Portico itself must know nothing.
const demoSocket = "demo.sock"

// outageTime bounds one request to the demo's socket.
const outageTime = 5 * time.Second

// outageRequest is what the demo's socket takes.
type outageRequest struct {
	Server string             `json:"server"`
	Outage backendtest.Outage `json:"outage"`
}

// control answers the demo's socket.
func (d *demoSite) control() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /outage", func(w http.ResponseWriter, r *http.Request) {
		change, err := d.outage(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusConflict)
			json.NewEncoder(w).Encode(admin.Failure{Error: err.Error()})
			return
		}
		json.NewEncoder(w).Encode(change)
	})
	return &http.Server{Handler: mux, ReadTimeout: outageTime, WriteTimeout: outageTime}
}

// outage begins or ends an outage of a mailbox server.
func (d *demoSite) outage(body io.Reader) (admin.Change, error) {
	var request outageRequest
	if err := json.NewDecoder(io.LimitReader(body, 4<<10)).Decode(&request); err != nil {
		return admin.Change{}, fmt.Errorf("read the request: %w", err)
	}
	ln := d.servers[request.Server]
	if ln == nil {
		return admin.Change{}, admin.NoSuch("mailbox server", request.Server, demoServers)
	}
	if !slices.Contains(backendtest.Outages(), request.Outage) {
		return admin.Change{}, admin.NoSuch("outage", string(request.Outage), nil)
	}
	was, err := ln.Set(request.Outage)
	return admin.Change{What: "mailbox server " + request.Server, Was: string(was), Now: string(request.Outage)}, err
}

// openControl opens the demo's socket and answers it until the server that it returns is closed.
func (d *demoSite) openControl(ctx context.Context) (*http.Server, error) {
	ln, err := admin.ListenUnix(ctx, d.path(demoSocket), "")
	if errors.Is(err, admin.ErrAnswered) {
		return nil, fmt.Errorf("another demo runs in %s", d.dir)
	}
	if err != nil {
		return nil, err
	}
	server := d.control()
	d.group.Go(func() { server.Serve(ln) })
	return server, nil
}

func newDemoBreak() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "break SERVER",
		Short: "Stop a mailbox server of the running demo, or make it silent",
		Long: "Break stops a mailbox server of the running demo: it refuses connections, and its sessions end. With " +
			"--silent it accepts\n" +
			"connections and answers nothing, as a server does that hangs. Recovery then moves its databases to the " +
			"other server;\n" +
			"\"portico health recovery\" shows it. \"portico demo mend\" makes the server work again.",
		Example: "  portico demo break mbx1\n  portico demo break mbx1 --silent",
		Args:    cobra.ExactArgs(1),
	}
	silent := cmd.Flags().Bool("silent", false, "accept connections and answer nothing")
	return demoOutage(cmd, func() backendtest.Outage {
		if *silent {
			return backendtest.Silent
		}
		return backendtest.Stopped
	})
}

func newDemoMend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mend SERVER",
		Short: "Make a mailbox server of the running demo work again",
		Long: "Mend ends what \"portico demo break\" began. Databases that have moved stay where they are; " +
			"\"portico database rebalance\"\n" +
			"moves them back once recovery has unblocked the server.",
		Example: "  portico demo mend mbx1",
		Args:    cobra.ExactArgs(1),
	}
	return demoOutage(cmd, func() backendtest.Outage { return backendtest.NoOutage })
}

// demoOutage has a command ask the running demo for an outage.
func demoOutage(cmd *cobra.Command, outage func() backendtest.Outage) *cobra.Command {
	output := outputFlags(cmd)
	dir := cmd.Flags().String("dir", "", "the demo's `folder`; by default the one that PORTICO_ADMIN is in")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		socket, err := findDemo(*dir, os.Getenv("PORTICO_ADMIN"))
		if err != nil {
			return err
		}
		var change admin.Change
		request := outageRequest{Server: args[0], Outage: outage()}
		if err := client.New(socket, "").Post(cmd.Context(), "/outage", request, &change); err != nil {
			return err
		}
		return output.changed(cmd, change)
	}
	return cmd
}

// findDemo returns the socket of the demo in a folder, or beside an admin socket.
func findDemo(dir, adminSocket string) (string, error) {
	if dir == "" && adminSocket == "" {
		return "", errors.New("which demo? Paste the line \"export PORTICO_ADMIN=...\" that it has printed, or add " +
			"--dir with its folder")
	}
	if dir == "" && strings.ContainsAny(adminSocket, "@:") && !filepath.IsAbs(adminSocket) {
		return "", errors.New("PORTICO_ADMIN is an address and no demo's socket: paste the line " +
			"\"export PORTICO_ADMIN=...\" that the demo has printed, or add --dir with its folder")
	}
	socket := filepath.Join(cmp.Or(dir, filepath.Dir(adminSocket)), demoSocket)
	if _, err := os.Stat(socket); err != nil {
		return "", fmt.Errorf("no demo runs in %s: there is no %s", filepath.Dir(socket), demoSocket)
	}
	return socket, nil
}
