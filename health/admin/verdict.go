package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The pages that say in a word whether this node works.
const (
	pathLive  = "/livez"
	pathReady = "/readyz"
	// PathHealthcheck says the same as /readyz, under the name that Exchange's load balancers know.
	PathHealthcheck = "/imap/healthcheck.htm"
)

// Check is one thing that must be so before clients should be sent here, or that is wrong though they should.
type Check struct {
	Name string
	// Ready returns nil, or what is missing in a few words. It must not block, and is called by several goroutines at
	// once.
	Ready func() error
	// Advisory checks are shown, and keep no client away.
	Advisory bool
}

// isVerdict says whether a request is for one of these pages. Everybody may have the verdict, by whatever name of this
// host: load balancers and the kubelet often can send neither a token nor a Host header of their choice. The reasons
// are for those who may read.
func isVerdict(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	return r.URL.Path == pathLive || r.URL.Path == pathReady || r.URL.Path == PathHealthcheck
}

// verdicts adds the pages.
func verdicts(mux *http.ServeMux, o Options) {
	mux.HandleFunc("GET "+pathLive, func(w http.ResponseWriter, r *http.Request) { liveness(w, r, o.Alive) })
	mux.HandleFunc("GET "+pathReady, func(w http.ResponseWriter, r *http.Request) { readiness(w, r, o.Checks) })
	mux.HandleFunc("GET "+PathHealthcheck, func(w http.ResponseWriter, r *http.Request) {
		healthcheck(w, r, o.Checks, o.Name)
	})
}

// liveness answers 200, or 503 if only another process would help.
func liveness(w http.ResponseWriter, r *http.Request, alive func() error) {
	if alive != nil {
		if err := alive(); err != nil {
			verdict(w, r, http.StatusServiceUnavailable, "not alive\n", err.Error()+"\n")
			return
		}
	}
	verdict(w, r, http.StatusOK, "alive\n", "")
}

// readiness answers 200 if all checks are ready, else 503; either way with one line for each.
func readiness(w http.ResponseWriter, r *http.Request, checks []Check) {
	var lines strings.Builder
	status, word := http.StatusOK, "ready\n"
	for _, c := range checks {
		state := "ok"
		if err := c.Ready(); err != nil {
			state = err.Error()
			if !c.Advisory {
				status, word = http.StatusServiceUnavailable, "not ready\n"
			}
		}
		fmt.Fprintf(&lines, "%s: %s\n", c.Name, state)
	}
	verdict(w, r, status, word, lines.String())
}

// healthcheck answers 200 if all checks are ready, else 503; either way with the node's name.
func healthcheck(w http.ResponseWriter, r *http.Request, checks []Check, node string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, c := range checks {
		if err := c.Ready(); err != nil && !c.Advisory {
			verdict(w, r, http.StatusServiceUnavailable, "503", fmt.Sprintf(" %v<br/>%s\n", err, node))
			return
		}
	}
	verdict(w, r, http.StatusOK, "200 OK", fmt.Sprintf("<br/>%s\n", node))
}

// verdict answers with a word, and with the reasons if the sender of the request may read them.
func verdict(w http.ResponseWriter, r *http.Request, status int, word, reasons string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(status)
	io.WriteString(w, word)
	if by, ok := r.Context().Value(callerKey{}).(*caller); ok && by.may >= MayRead {
		io.WriteString(w, reasons)
	}
}
