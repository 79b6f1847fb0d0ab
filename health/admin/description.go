package admin

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// The paths of the API's description: for programs, and for people.
const (
	PathDescription     = "/api/openapi.json"
	PathDescriptionPage = "/api/"
)

// description is the API in OpenAPI 3.1: allOperations with the comments of the Go types. A test writes it, and fails
// where it is not true any more.
//
//go:embed openapi.json
var description []byte

// describe adds the description of the API to the pages, and an answer to requests that the API does not have.
func describe(mux *http.ServeMux) {
	mux.HandleFunc("GET "+PathDescription, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(description)
	})
	page := sync.OnceValues(descriptionPage)
	mux.HandleFunc("GET "+PathDescriptionPage+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		text, err := page()
		if err != nil {
			fail(w, Of(KindFailed, err))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(text)
	})
	mux.HandleFunc(PathDescriptionPage, func(w http.ResponseWriter, r *http.Request) { noSuchRequest(w, r, mux) })
}

// noSuchRequest answers a request that the API does not have. It names the methods that its path does have.
func noSuchRequest(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); strings.HasPrefix(pattern, method+" ") {
			methods = append(methods, method)
		}
	}
	if len(methods) == 0 {
		fail(w, Of(KindUnsupported, fmt.Errorf("the API has no %s", r.URL.Path)))
		return
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	p := newProblem(KindInvalid, fmt.Sprintf("%s is for %s, not for %s", r.URL.Path, strings.Join(methods, " and "),
		r.Method))
	p.Status = http.StatusMethodNotAllowed
	p.send(w)
}

// The parts of the description that the page shows.
type (
	described struct {
		Info       struct{ Title, Description string }
		Paths      map[string]map[string]describedOperation
		Components struct {
			Schemas map[string]describedSchema
		}
	}
	describedOperation struct {
		OperationID, Summary string
		Tags                 []string
		Parameters           []struct {
			Name, In, Description string
			Required              bool
		}
		RequestBody struct{ Content map[string]describedContent }
		Responses   map[string]struct{ Content map[string]describedContent }
	}
	describedContent struct{ Schema describedSchema }
	describedSchema  struct {
		Ref         string `json:"$ref"`
		Type        any
		Description string
		Items       *describedSchema
		Properties  map[string]describedSchema
		Required    []string
	}
)

// TypeName is a schema's type in words, such as "list of ServerState".
func (s describedSchema) TypeName() string {
	if s.Ref != "" {
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	}
	if s.Items != nil {
		return "list of " + s.Items.TypeName()
	}
	switch of := s.Type.(type) {
	case string:
		return of
	case []any:
		return fmt.Sprint(of[0])
	}
	return "any"
}

// Link is the schema that TypeName names, if it has a place of its own on the page.
func (s describedSchema) Link() string {
	if s.Items != nil {
		return s.Items.Link()
	}
	return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
}

// schemaOf is the schema of what a request sends or gets as JSON, nil if it is none.
func schemaOf(contents map[string]describedContent) *describedSchema {
	if content, ok := contents["application/json"]; ok {
		return &content.Schema
	}
	return nil
}

var descriptionTemplate = template.Must(template.New("api").Funcs(template.FuncMap{
	"upper": strings.ToUpper, "schema": schemaOf, "has": slices.Contains[[]string],
}).Parse(`{{define "type"}}{{if .Link}}<a href="#{{.Link}}">{{.TypeName}}</a>{{else}}{{.TypeName}}{{end}}{{end -}}
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>API of {{.Info.Title}}</title></head>
<body>
<header><h1>API of {{.Info.Title}}</h1>
<p>{{.Info.Description}}</p>
<p>For programs: <a href="openapi.json">openapi.json</a>. Every error is a <a href="#Problem">Problem</a>.</p></header>
<main>
<h2 id="requests">Requests</h2>
<table>
<thead><tr><th scope="col">Request</th><th scope="col">Does</th><th scope="col">Parameters</th><th scope="col">Body</th>
<th scope="col">Answer</th></tr></thead>
<tbody>
{{range $path, $methods := .Paths}}{{range $method, $o := $methods}}<tr id="{{$o.OperationID}}">
<th scope="row"><code>{{upper $method}} {{$path}}</code></th><td>{{$o.Summary}}</td>
<td>{{range $o.Parameters}}<code>{{.Name}}</code> {{end}}</td>
<td>{{with schema $o.RequestBody.Content}}{{template "type" .}}{{end}}</td>
<td>{{with index $o.Responses "200"}}{{with schema .Content}}{{template "type" .}}{{end}}{{end}}</td>
</tr>
{{end}}{{end}}</tbody>
</table>
<h2 id="types">Types</h2>
{{range $name, $s := .Components.Schemas}}<section id="{{$name}}"><h3>{{$name}}</h3>
{{with $s.Description}}<p>{{.}}</p>{{end}}
<table>
<thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Always</th>
<th scope="col">Is</th></tr></thead>
<tbody>
{{range $field, $p := $s.Properties}}<tr><th scope="row"><code>{{$field}}</code></th>
<td>{{template "type" $p}}</td>
<td>{{if has $s.Required $field}}yes{{end}}</td><td>{{$p.Description}}</td></tr>
{{end}}</tbody>
</table></section>
{{end}}</main>
</body>
</html>
`))

// descriptionPage is the description for people to read.
func descriptionPage() ([]byte, error) {
	var all described
	if err := json.Unmarshal(description, &all); err != nil {
		return nil, fmt.Errorf("read the API's description: %w", err)
	}
	var page bytes.Buffer
	if err := descriptionTemplate.Execute(&page, all); err != nil {
		return nil, fmt.Errorf("show the API's description: %w", err)
	}
	return page.Bytes(), nil
}
