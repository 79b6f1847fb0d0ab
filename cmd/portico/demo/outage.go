package demo

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

	"portico/backend/backendtest"
	"portico/health/admin"
	"portico/health/admin/client"
)

// socketName is the demo's own socket, in its folder beside admin.sock. It takes outages of the demo's mailbox
// servers, of which Portico itself must know nothing.
const socketName = "demo.sock"

// outageTime bounds one request to the demo's socket.
const outageTime = 5 * time.Second

// outageRequest is what the demo's socket takes.
type outageRequest struct {
	Server string             `json:"server"`
	Outage backendtest.Outage `json:"outage"`
}

// control answers the demo's socket.
func (d *site) control() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /outage", func(w http.ResponseWriter, r *http.Request) {
		change, err := d.outage(r.Body)
		if err != nil {
			admin.Refuse(w, err)
			return
		}
		json.NewEncoder(w).Encode(change)
	})
	return &http.Server{Handler: mux, ReadTimeout: outageTime, WriteTimeout: outageTime}
}

// outage begins or ends an outage of a mailbox server.
func (d *site) outage(body io.Reader) (admin.Change, error) {
	var request outageRequest
	if err := json.NewDecoder(io.LimitReader(body, 4<<10)).Decode(&request); err != nil {
		return admin.Change{}, fmt.Errorf("read the request: %w", err)
	}
	ln := d.servers[request.Server]
	if ln == nil {
		return admin.Change{}, admin.NoSuch("mailbox server", request.Server, serverNames)
	}
	if !slices.Contains(backendtest.Outages(), request.Outage) {
		return admin.Change{}, admin.NoSuch("outage", string(request.Outage), nil)
	}
	was, err := ln.Set(request.Outage)
	return admin.Change{What: "mailbox server " + request.Server, Was: string(was), Now: string(request.Outage)}, err
}

// openControl opens the demo's socket and answers it until the server that it returns is closed.
func (d *site) openControl(ctx context.Context) (*http.Server, error) {
	ln, err := admin.ListenUnix(ctx, d.path(socketName), "")
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

// SetOutage starts or ends an outage of a mailbox server of a running demo. The demo is the one in the folder dir, or
// if dir is empty, the one beside the admin socket.
func SetOutage(ctx context.Context, dir, adminSocket, server string, outage backendtest.Outage) (change admin.Change,
	err error) {
	socket, err := findDemo(dir, adminSocket)
	if err != nil {
		return change, err
	}
	asked := client.New(socket, client.Credentials{})
	err = asked.Post(ctx, "/outage", outageRequest{Server: server, Outage: outage}, &change)
	return change, err
}

// findDemo returns the socket of the demo in a folder, or beside an admin socket.
func findDemo(dir, adminSocket string) (string, error) {
	if dir == "" && adminSocket == "" {
		return "", errors.New("cannot tell which demo: paste the line \"export PORTICO_ADMIN=...\" that the demo " +
			"printed, or add --dir with its folder")
	}
	if dir == "" && strings.ContainsAny(adminSocket, "@:") && !filepath.IsAbs(adminSocket) {
		return "", errors.New("PORTICO_ADMIN is an address, not a demo's socket: paste the line \"export " +
			"PORTICO_ADMIN=...\" that the demo printed, or add --dir with its folder")
	}
	socket := filepath.Join(cmp.Or(dir, filepath.Dir(adminSocket)), socketName)
	if _, err := os.Stat(socket); err != nil {
		return "", fmt.Errorf("no demo runs in %s: there is no %s", filepath.Dir(socket), socketName)
	}
	return socket, nil
}
