package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"portico/fleet"
	"portico/health/turns"
)

// PathSite begins the paths that ask all nodes: PathSite and what follows PathNames' prefix, such as
// /api/v1/site/sessions. SitePath makes one.
const PathSite = prefix + "site/"

// SitePath returns the path that asks all nodes for what a path of the API answers.
func SitePath(path string) string { return PathSite + strings.TrimPrefix(path, prefix) }

// Bounds of a question to all nodes. This node is not bounded by a time: its handlers bound themselves.
const (
	readTime       = 2 * time.Second  // of another node, to answer
	changeTime     = 15 * time.Second // of another node, for a change: it may have to ask its directory
	maxSiteAnswer  = 60 << 20         // of all nodes together, in bytes; each has an equal share
	maxSiteAtOnce  = 8                // questions that are being answered; others wait
	maxSiteProblem = 1 << 10          // of the words of another node about an error, in bytes
	maxSiteDepth   = 64               // of lists and objects in each other in an answer
)

// siteChanges are the changes that can be sent to all nodes: those that concern each node's own sessions and sign-ins.
// All others are for one node, and some change what nodes share.
var siteChanges = []string{PathSessionsKick, PathUserKick, PathLogOn, PathLogOff, PathPenaltiesClear, PathServerPause}

// SiteAnswer is what all nodes have answered.
type SiteAnswer struct {
	Nodes []NodeAnswer `json:"nodes"` // the node that was asked first, then the others by name
}

// NodeAnswer is what one node has answered: an answer or a problem.
type NodeAnswer struct {
	Node    string          `json:"node"`
	Answer  json.RawMessage `json:"answer,omitempty"`  // as the node sends it at the path without /site
	Problem *Problem        `json:"problem,omitempty"` // why there is no answer
}

// fanOut asks all nodes.
type fanOut struct {
	name   string              // of this node
	here   *http.ServeMux      // answers as this node
	others func() []fleet.Node // nil: there are none
	turns  *turns.Turns
}

// routes adds the questions to all nodes to the pages.
func (f *fanOut) routes() {
	f.here.HandleFunc("GET "+PathSite+"{path...}", f.serve)
	f.here.HandleFunc("POST "+PathSite+"{path...}", f.serve)
}

func (f *fanOut) serve(w http.ResponseWriter, r *http.Request) {
	q, err := f.question(w, r)
	if passedOn(r) {
		err = errChain
	}
	if err != nil {
		fail(w, err)
		return
	}
	turn := f.turns.Take(r.Context())
	if turn == nil {
		return
	}
	defer turn.Done()
	out := http.NewResponseController(w)
	out.SetWriteDeadline(time.Time{})
	nodes := f.nodes(q.Method)
	asked := fleet.Ask(r.Context(), nodes, q, maxSiteAnswer/len(nodes))
	answers, form := SiteAnswer{}, byte(0)
	if here := asked[0]; here.Err == nil && here.Status == http.StatusOK {
		form = formOf(here.Body)
	}
	for i, a := range asked {
		answers.Nodes = append(answers.Nodes, nodeAnswer(a, nodes[i].Timeout, form))
	}
	out.SetWriteDeadline(time.Now().Add(writeTimeout))
	turn.Sending(func() { out.SetWriteDeadline(time.Now()) })
	reply(w, answers, nil)
}

// nodes are the nodes to ask, with the time that each has.
func (f *fanOut) nodes(method string) []fleet.Node {
	nodes := []fleet.Node{{Name: f.name, Handler: f.here, Timeout: moveTime}}
	if f.others == nil {
		return nodes
	}
	timeout := readTime
	if method != http.MethodGet {
		timeout = changeTime
	}
	for _, other := range f.others() {
		if other.Name != f.name { // all nodes may have the same list
			nodes = append(nodes, fleet.Node{Name: other.Name, Handler: other.Handler, Timeout: timeout})
		}
	}
	return nodes
}

// question returns what each node is to be asked. It refuses what is not for all nodes.
func (f *fanOut) question(w http.ResponseWriter, r *http.Request) (q fleet.Question, err error) {
	escaped := strings.TrimPrefix(r.URL.EscapedPath(), PathSite)
	unknown := Of(KindUnsupported, fmt.Errorf("the API has no %s", r.URL.Path))
	for i, segment := range strings.Split(escaped, "/") {
		name, err := url.PathUnescape(segment)
		if err != nil || slices.Contains([]string{"", ".", ".."}, name) || i == 0 && PathSite == prefix+name+"/" {
			return q, unknown // also a question to all nodes for a question to all nodes
		}
	}
	if q.URL, err = url.Parse(prefix + escaped); err != nil {
		return q, unknown
	}
	q.URL.RawQuery = r.URL.RawQuery
	q.Method, q.Header = r.Method, http.Header{} // no credentials: those of this node are added on the way
	if q.Method == http.MethodHead {
		q.Method = http.MethodGet
	}
	if lasts(&http.Request{URL: q.URL}) {
		return q, Of(KindInvalid, fmt.Errorf("follow one node, at %sNAME%s", nodePages, q.URL.Path))
	}
	if q.Method == http.MethodGet {
		return q, nil
	}
	_, pattern := f.here.Handler(&http.Request{Method: q.Method, URL: q.URL, Host: r.Host})
	if !slices.Contains(siteChanges, strings.TrimPrefix(pattern, q.Method+" ")) {
		return q, Of(KindInvalid, fmt.Errorf("%s is for one node: send it to that node", q.URL.Path))
	}
	q.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	if q.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		return q, Of(KindInvalid, fmt.Errorf("read the request: %w", err))
	}
	return q, nil
}

// nodeAnswer is a node's answer as the API shows it. What another node sends may be anything. form is that of this
// node's answer, 0 if there is none.
func nodeAnswer(a fleet.Answer, timeout time.Duration, form byte) NodeAnswer {
	shown := NodeAnswer{Node: a.Node}
	switch {
	case errors.Is(a.Err, fleet.ErrTimeout):
		shown.Problem = siteProblem(KindUnreachable, fmt.Sprintf("no answer within %v", timeout))
	case errors.Is(a.Err, fleet.ErrTooLarge):
		shown.Problem = siteProblem(KindRefused, "the answer is too large: give a filter or a limit")
	case a.Err != nil:
		shown.Problem = siteProblem(KindUnreachable, a.Err.Error())
	case a.Status == http.StatusOK && isAnswer(a.Body, form):
		shown.Answer = bytes.ToValidUTF8(a.Body, []byte("\uFFFD"))
	default:
		shown.Problem = problemOfNode(a)
	}
	return shown
}

// isAnswer says whether a text is JSON of a form, and one that an answer to all nodes can hold: a program that reads it
// has a limit for the depth, and would lose the answers of all nodes.
func isAnswer(text []byte, form byte) bool {
	return json.Valid(text) && depth(text) <= maxSiteDepth && (form == 0 || formOf(text) == form)
}

// formOf is the first character of JSON: that of a list, an object or something else.
func formOf(text []byte) byte {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return 0
	}
	return text[0]
}

// depth returns how many lists and objects of a JSON text are in each other.
func depth(text []byte) (deepest int) {
	level, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\': // only in quotes
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[', c == '{':
			level++
			deepest = max(deepest, level)
		case c == ']', c == '}':
			level--
		}
	}
	return deepest
}

// problemOfNode is what a node has answered instead of what was asked.
func problemOfNode(a fleet.Answer) *Problem {
	var said Problem
	err := json.Unmarshal(a.Body, &said)
	detail := cmp.Or(said.Detail, said.Error)
	if err != nil || detail == "" || a.Status == http.StatusOK {
		return siteProblem(KindUnreachable, fmt.Sprintf("it is another version of Portico, or not Portico: it answers "+
			"%d %s", a.Status, http.StatusText(a.Status)))
	}
	detail = oneLine(detail, maxSiteProblem)
	detail = strings.TrimPrefix(detail, "node "+a.Node+": ") // from the way to it
	if said.Kind == KindUnauthenticated || said.Kind == KindForbidden {
		detail = "it does not accept the token that the configuration has for it: " + detail
	}
	if _, known := rowsOfKinds[said.Kind]; !known {
		said.Kind = KindFailed
	}
	return siteProblem(said.Kind, detail)
}

func siteProblem(kind Kind, detail string) *Problem { return &newProblem(kind, detail).Problem }

// describeSite adds the questions to all nodes to the description.
func describeSite(api huma.API) {
	answer := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[SiteAnswer](), true, "")
	for _, o := range []struct{ method, id, summary string }{
		{http.MethodGet, "ask-site", "Ask all nodes side by side what the path without site answers. It may have " +
			"slashes; the query goes to each node. Another node has 2 seconds"},
		{http.MethodPost, "change-site", "Send a change to all nodes side by side, with the body of the path without " +
			"site: sessions/kick, users/{name}/kick, log/on, log/off, penalties/clear or servers/{name}/pause"},
	} {
		op := operation(o.method, o.id, PathSite+"{path}", o.summary)
		op.Parameters = []*huma.Param{{Name: "path", In: "path", Required: true,
			Schema: &huma.Schema{Type: huma.TypeString}}}
		op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": {Schema: answer}}}
		if o.method == http.MethodPost {
			op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{
				"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}}
		}
		api.OpenAPI().AddOperation(&op)
	}
}
