package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// prefix begins the paths of the API. Each noun's paths are constants beside its routes, which the client uses too: in
// a pattern like PathServerBlock, PathOf writes names.
const prefix = "/api/v1/"

// PathOf returns a pattern's path with names in the places of {name}, {set} and the like, in order.
func PathOf(pattern string, names ...string) string {
	for _, name := range names {
		begin, rest, _ := strings.Cut(pattern, "{")
		_, end, _ := strings.Cut(rest, "}")
		pattern = begin + url.PathEscape(name) + end
	}
	return pattern
}

// API is what can be seen and done over HTTP, one part for each noun. Where a part is nil, its routes are not there.
// The methods of all parts may be called from anywhere. KindOf says of which kind an error is.
type API struct {
	Node        Node
	Servers     Servers
	Databases   Databases
	Users       Users
	Sessions    Sessions
	Settings    Settings
	Penalties   Penalties
	Monitors    Monitors
	Probes      Probes
	Overrides   Overrides
	Components  Components
	Recovery    Recovery
	Maintenance Maintenance
	Log         Log
	Store       Store
}

// routes adds the API to the pages.
func (a API) routes(mux *http.ServeMux) {
	add(mux, a.Node, nodeRoutes)
	add(mux, a.Servers, serverRoutes)
	add(mux, a.Databases, databaseRoutes)
	add(mux, a.Users, userRoutes)
	add(mux, a.Sessions, sessionRoutes)
	add(mux, a.Settings, settingRoutes)
	add(mux, a.Penalties, penaltyRoutes)
	add(mux, a.Monitors, monitorRoutes)
	add(mux, a.Probes, probeRoutes)
	add(mux, a.Overrides, overrideRoutes)
	add(mux, a.Components, componentRoutes)
	add(mux, a.Recovery, recoveryRoutes)
	add(mux, a.Maintenance, maintenanceRoutes)
	add(mux, a.Log, logRoutes)
	add(mux, a.Store, storeRoutes)
}

func add[Part any](mux *http.ServeMux, part Part, routes func(*http.ServeMux, Part)) {
	if any(part) != nil {
		routes(mux, part)
	}
}

// Bounds of the API.
const (
	maxBody  = 64 << 10        // of a request, in bytes
	moveTime = 5 * time.Minute // of a request that moves databases
)

// get adds a request that only reads. It answers what find returns.
func get(mux *http.ServeMux, path string, find func(r *http.Request) (any, error)) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		value, err := find(r)
		answer(w, value, err)
	})
}

// change adds a request that changes something: a POST with a body of JSON. Who may send it is for guard to say. Do
// answers with a Change, or calls Changed.
func change[Body any](mux *http.ServeMux, path string, do func(ctx context.Context, name string,
	body Body) (any, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var body Body
		if !readBody(w, r, &body) {
			return
		}
		// A move takes as long as its sessions need, whatever becomes of who asked for it.
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(moveTime + writeTimeout))
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), moveTime)
		defer cancel()
		value, err := do(ctx, r.PathValue("name"), body)
		answer(w, value, err)
	})
}

// readBody reads a request's body of JSON, or answers that it cannot be read.
func readBody(w http.ResponseWriter, r *http.Request, into any) (ok bool) {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		fail(w, Of(KindInvalid, fmt.Errorf("read the request: %w", err)))
		return false
	}
	return true
}

// answer sends a value, or an error.
func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
