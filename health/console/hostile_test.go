package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit/browser"
	"portico/health/console"
)

// hostile is what every text of the API is here: user names, mailbox names and server texts may be anything.
const hostile = `<img src=/x onerror="window.harmed=1">'"<script>window.harmed=1</script>`

// fakeAPI answers every request that the description has, with hostile texts.
type fakeAPI struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Format               string
	Items                *schema
	Properties           map[string]schema
	AdditionalProperties any
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "admin", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var api fakeAPI
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	return &api
}

// value makes a value of a schema.
func (a *fakeAPI) value(s schema) any {
	if s.Ref != "" {
		return a.value(a.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]])
	}
	kind := s.Type
	if several, ok := kind.([]any); ok {
		kind = several[0]
	}
	switch kind {
	case "array":
		return []any{a.value(*s.Items)}
	case "boolean":
		return true
	case "integer", "number":
		return 7
	case "object":
		object := make(map[string]any)
		for name, of := range s.Properties {
			object[name] = a.value(of)
		}
		if more, ok := s.AdditionalProperties.(map[string]any); ok {
			text, _ := json.Marshal(more)
			var of schema
			json.Unmarshal(text, &of)
			object[hostile] = a.value(of)
		}
		return object
	}
	if s.Format == "date-time" {
		return "2026-01-02T03:04:05Z"
	}
	return hostile
}

// answer makes the answer to a request.
func (a *fakeAPI) answer(method, path string) any {
	path, _, _ = strings.Cut(path, "?")
	if inner, ok := strings.CutPrefix(path, "/api/v1/site/"); ok {
		own := map[string]any{"node": hostile, "answer": a.answer(method, "/api/v1/"+inner)}
		other := map[string]any{"node": "mx2", "problem": map[string]string{"detail": hostile}}
		return map[string]any{"nodes": []any{own, other}}
	}
	parts := strings.Split(path, "/")
	for pattern, methods := range a.Paths {
		of := strings.Split(pattern, "/")
		if len(of) != len(parts) {
			continue
		}
		fits := true
		for i := range of {
			fits = fits && (strings.HasPrefix(of[i], "{") || of[i] == parts[i])
		}
		if op, ok := methods[strings.ToLower(method)]; ok && fits {
			return a.value(op.Responses["200"].Content["application/json"].Schema)
		}
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/api/v1/events":
		for _, path := range r.URL.Query()["path"] {
			text, _ := json.Marshal(map[string]any{"path": path, "status": 200, "body": a.answer("GET", path)})
			fmt.Fprintf(w, "event: answer\ndata: %s\n\n", text)
		}
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case strings.HasPrefix(r.URL.Path, "/api/v1/log/stream"):
		text, _ := json.Marshal(map[string]any{"dateTime": hostile, "sessionId": hostile, "user": hostile,
			"command": hostile, "parameters": hostile, "context": hostile, "duration": 7})
		fmt.Fprintf(w, "%s\n{\"lost\":7}\n", text)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		body := a.answer(r.Method, r.URL.EscapedPath())
		if body == nil {
			http.Error(w, `{"detail":"`+hostile+`"}`, http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(body)
	}
}

// Nothing that the API says becomes markup, on any page and in any dialog.
func TestHostileTexts(t *testing.T) {
	api := newFakeAPI(t)
	mux := http.NewServeMux()
	mux.Handle("/", console.Handler())
	mux.Handle("/api/", api)
	mux.Handle("/probes/", api)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close) // when the browser has left
	tab := browser.Open(t)
	tab.Look(1440, 900, "light")
	tab.Visit(server.URL)
	tab.Until("navigation", "document.querySelectorAll('nav a').length > 5")
	var pages []string
	tab.Run("[...document.querySelectorAll('nav a')].map((a) => a.hash)", &pages)
	const dangers = "document.querySelectorAll('img, iframe, object, script:not([src=\"/console/main.js\"])').length"
	pages = slices.DeleteFunc(pages, func(page string) bool { return page == "#user" }) // it shows nothing yet
	for _, page := range append(pages, "#user?user=%3Cimg%3E", "#log?user=%3Cimg%3E") {
		tab.Run("location.hash = "+fmt.Sprintf("%q", page), nil)
		tab.Until("hostile text on "+page, "document.querySelector('main').innerText.includes('onerror')")
		var buttons int
		tab.Run("document.querySelectorAll('main button:not(:disabled)').length", &buttons)
		for i := range buttons { // each opens a dialog, or does something here
			tab.Run(fmt.Sprintf("document.querySelectorAll('main button:not(:disabled)')[%d]?.click()", i), nil)
			tab.Run("document.querySelector('dialog button[type=submit]')?.click()", nil)
			tab.Run("new Promise((done) => setTimeout(done, 30))", nil)
			tab.Run("document.querySelector('dialog')?.close()", nil)
			tab.Run("location.hash = "+fmt.Sprintf("%q", page), nil)
		}
		var harm struct{ Elements, Ran int }
		tab.Run("({elements: "+dangers+", ran: window.harmed ?? 0})", &harm)
		if harm.Elements != 0 || harm.Ran != 0 {
			t.Errorf("%s: %d elements were made of text, and %d ran", page, harm.Elements, harm.Ran)
		}
	}
	for _, warning := range tab.Warnings() {
		if !slices.ContainsFunc([]string{"404"}, func(fine string) bool { return strings.Contains(warning, fine) }) {
			t.Errorf("console: %s", warning)
		}
	}
}
