package admin

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"portico/health/exposition"
	"portico/health/turns"
)

// consoleFiles is where the files of the console are, beside its page at /.
const consoleFiles = "/console/"

// isConsole says whether a request is for a file of the console. Everybody may have these: they are part of the
// program, and a browser sends a token only once the page has asked for it.
func isConsole(r *http.Request) bool {
	return r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, consoleFiles)
}

// nodePages is where the pages of other nodes are, behind the node's name.
const nodePages = "/nodes/"

// Refuse answers a request with an error, as the API does.
func Refuse(w http.ResponseWriter, err error) { fail(w, err) }

// pages are the same on every listener.
func pages(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", exposition.New(o.Gatherer, o.Log))
	o.API.routes(mux)
	if o.events != nil {
		o.events.routes(mux)
	}
	o.API.pages(mux)
	describe(mux)
	(&fanOut{name: o.Name, here: mux, others: o.Others, turns: turns.New(maxSiteAtOnce)}).routes()
	if o.Node != nil {
		mux.HandleFunc(nodePages+"{node}/", func(w http.ResponseWriter, r *http.Request) {
			passOn(w, r, func(name string) (http.Handler, error) {
				if name == o.Name {
					return mux, nil
				}
				return o.Node(name)
			})
		})
	}
	verdicts(mux, o)
	if o.Console != nil {
		mux.Handle("GET /{$}", o.Console)
		mux.Handle("GET "+consoleFiles, o.Console)
	}
	return withHeaders(mux)
}

// errChain refuses to pass on what another node has passed on. Otherwise the tokens of that node would reach further
// than those of the node that was asked, and nodes that name each other could pass a request on without end.
var errChain = Of(KindInvalid, errors.New("another node has passed this request on, and it is passed on once: ask a "+
	"node that has the last node of the path under nodes in its configuration"))

// passOn sends a request to the node that its path names, if it comes from a client.
func passOn(w http.ResponseWriter, r *http.Request, node func(name string) (http.Handler, error)) {
	way, err := node(r.PathValue("node"))
	if passedOn(r) {
		err = errChain
	}
	if err != nil {
		fail(w, err)
		return
	}
	until := time.Now().Add(moveTime + writeTimeout)
	if lasts(r) {
		until = time.Time{} // it ends with the client
	}
	http.NewResponseController(w).SetWriteDeadline(until)
	http.StripPrefix(nodePages+r.PathValue("node"), way).ServeHTTP(w, r)
}

// withHeaders keeps answers out of caches, frames and other sites' scripts.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
