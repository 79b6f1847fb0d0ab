package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
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
	Node           Node
	Servers        Servers
	Databases      Databases
	Users          Users
	Canaries       Canaries
	Sessions       Sessions
	Stats          Stats
	Settings       Settings
	Penalties      Penalties
	Monitors       Monitors
	Probes         Probes
	Overrides      Overrides
	Components     Components
	Recovery       Recovery
	Maintenance    Maintenance
	Log            Log
	Store          Store
	Service        Service
	Cluster        Cluster
	Configurations Configurations
}

// routes adds the API to the pages.
func (a API) routes(mux *http.ServeMux) {
	api := newOperations(mux)
	a.register(api, false)
	callerRoutes(api)
}

// pages adds what other programs than clients of the API ask for: a test of this node.
func (a API) pages(mux *http.ServeMux) {
	if a.Probes != nil {
		test := &selfTest{probes: a.Probes}
		mux.HandleFunc("GET "+PathSelfTest, test.serve)
	}
}

// register adds the requests of the parts that are there, or of all: those of a part that is not there can only be
// described.
func (a API) register(api huma.API, all bool) {
	add(api, a.Node, nodeRoutes, all)
	add(api, a.Servers, serverRoutes, all)
	add(api, a.Databases, databaseRoutes, all)
	add(api, a.Users, userRoutes, all)
	add(api, a.Canaries, canaryRoutes, all)
	add(api, a.Sessions, sessionRoutes, all)
	add(api, a.Stats, statsRoutes, all)
	add(api, a.Settings, settingRoutes, all)
	add(api, a.Penalties, penaltyRoutes, all)
	add(api, a.Monitors, monitorRoutes, all)
	add(api, a.Probes, probeRoutes, all)
	add(api, a.Overrides, overrideRoutes, all)
	add(api, a.Components, componentRoutes, all)
	add(api, a.Recovery, recoveryRoutes, all)
	add(api, a.Maintenance, maintenanceRoutes, all)
	add(api, a.Log, logRoutes, all)
	add(api, a.Store, storeRoutes, all)
	add(api, a.Service, serviceRoutes, all)
	add(api, a.Cluster, clusterRoutes, all)
	add(api, a.Configurations, configRoutes, all)
}

func add[Part any](api huma.API, part Part, routes func(huma.API, Part), all bool) {
	if all || any(part) != nil {
		routes(api, part)
	}
}

// Bounds of the API.
const (
	maxBody  = 64 << 10        // of a request, in bytes
	moveTime = 5 * time.Minute // of a request that moves databases
)

// None is the input of a request without parameters, and the body of one that needs none.
type None struct{}

// answer is an answer with its body.
type answer[Body any] struct{ Body Body }

// get adds a request that only reads. It answers what find returns.
func get[In, Out any](api huma.API, id, path, summary string, find func(ctx context.Context, in *In) (Out, error)) {
	huma.Register(api, operation(http.MethodGet, id, path, summary), func(ctx context.Context, in *In) (*answer[Out],
		error) {
		return answered(find(ctx, in))
	})
}

// named and unnamed are requests that change something.
type (
	named[Body any] struct {
		Name string `path:"name"`
		Body *Body
	}
	unnamed[Body any] struct{ Body *Body }
)

// change adds a request that changes something: a POST with a body of JSON, which may be missing. Who may send it is
// for guard to say. Do answers with a Change, or calls Changed.
func change[Body, Out any](api huma.API, id, path, summary string, do func(ctx context.Context, name string,
	body Body) (Out, error)) {
	op := uncancelled(operation(http.MethodPost, id, path, summary))
	if strings.Contains(path, "{name}") {
		huma.Register(api, op, func(ctx context.Context, in *named[Body]) (*answer[Out], error) {
			return answered(do(ctx, in.Name, valueOf(in.Body)))
		})
		return
	}
	huma.Register(api, op, func(ctx context.Context, in *unnamed[Body]) (*answer[Out], error) {
		return answered(do(ctx, "", valueOf(in.Body)))
	})
}

// uncancelled lets a change go on whatever becomes of who asked for it.
func uncancelled(op huma.Operation) huma.Operation {
	op.Middlewares = huma.Middlewares{lasting}
	return op
}

// valueOf is a body, or that of a request without one.
func valueOf[Body any](body *Body) (value Body) {
	if body != nil {
		value = *body
	}
	return value
}

// lasting lets a request go on whatever becomes of who asked for it: a move takes as long as its sessions need.
func lasting(request huma.Context, next func(huma.Context)) {
	within(context.WithoutCancel(request.Context()), moveTime, request, next)
}

// within gives a request a time of its own, and the time to send its answer.
func within(ctx context.Context, d time.Duration, request huma.Context, next func(huma.Context)) {
	_, w := humago.Unwrap(request)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + writeTimeout))
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	next(huma.WithContext(request, ctx))
}

func answered[Out any](value Out, err error) (*answer[Out], error) {
	if err != nil {
		return nil, problemOf(err)
	}
	return &answer[Out]{value}, nil
}

// rowsOf makes a row of each item.
func rowsOf[Item, Row any](items []Item, row func(Item) Row) []Row {
	rows := []Row{}
	for _, item := range items {
		rows = append(rows, row(item))
	}
	return rows
}

// reply sends a value, or an error, where a page of the API writes by itself.
func reply(w http.ResponseWriter, value any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
