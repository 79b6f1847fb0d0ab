package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
)

var updateDescription = flag.Bool("update-description", false, "write openapi.json, if it only grows")

// The description that a node serves is that of its handlers, and has only grown.
func TestDescription(t *testing.T) {
	api := allOperations()
	comment(t, api)
	now, err := json.MarshalIndent(api, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	now = append(now, '\n')
	for _, loss := range losses(decoded(t, description), decoded(t, now), "") {
		t.Error(loss)
	}
	if t.Failed() {
		t.Fatal("clients rely on openapi.json: give back what is gone, or begin another version of the API")
	}
	if bytes.Equal(now, description) {
		return
	}
	if !*updateDescription {
		t.Fatal("openapi.json is not what the handlers are: `make openapi` writes it")
	}
	if err := os.WriteFile("openapi.json", now, 0o644); err != nil {
		t.Fatal(err)
	}
}

// What clients rely on cannot go away unnoticed.
func TestLosses(t *testing.T) {
	const before = `{"paths": {"/a": {"get": {"parameters": [{"name": "q", "in": "query"}]}}},
		"schemas": {"Row": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
			"Kind": {"enum": ["a", "b"]}}}`
	for _, c := range []struct{ old, new, loss string }{
		{`"name": {"type": "string"}`, `"name": {"type": "string"}, "more": {"type": "string"}`, ""},
		{`"Kind"`, `"Other": {}, "Kind"`, ""},
		{`["a", "b"]`, `["a", "b", "c"]`, ""},
		{`"/a"`, `"/b"`, "/paths//a is gone"},
		{`"get"`, `"post"`, "/paths//a/get is gone"},
		{`"name": "q"`, `"name": "r"`, "/paths//a/get/parameters has no query q"},
		{`"properties": {"name"`, `"properties": {"title"`, "/schemas/Row/properties/name is gone"},
		{`{"type": "string"}`, `{"type": "integer"}`, "/schemas/Row/properties/name/type was string, is integer"},
		{`"required": ["name"]`, `"required": ["name", "age"]`, "/schemas/Row/required has a new age"},
		{`"required": ["name"]`, `"required": []`, "/schemas/Row/required has no name"},
		{`["a", "b"]`, `["a"]`, "/schemas/Kind/enum has no b"},
	} {
		after := strings.Replace(before, c.old, c.new, 1)
		got := strings.Join(losses(decoded(t, []byte(before)), decoded(t, []byte(after)), ""), "; ")
		if after == before || got != c.loss {
			t.Errorf("%s for %s: %q, want %q", c.new, c.old, got, c.loss)
		}
	}
}

// The page for people has each request and each type of the description.
func TestDescriptionPage(t *testing.T) {
	site := pages(Options{Gatherer: prometheus.NewRegistry()})
	recorder := httptest.NewRecorder()
	site.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, PathDescriptionPage, nil))
	page := recorder.Body.String()
	api := allOperations()
	for path := range api.Paths {
		if !strings.Contains(page, " "+path+"</code>") {
			t.Errorf("the page does not have %s", path)
		}
	}
	for name := range api.Components.Schemas.Map() {
		if !strings.Contains(page, `<section id="`+name+`">`) {
			t.Errorf("the page does not have %s", name)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+link[1]+`"`) {
			t.Errorf("the page has nothing for the link to %q", link[1])
		}
	}
}

// A request that the API does not have gets a problem too, which says what there is.
func TestNoSuchRequest(t *testing.T) {
	site := pages(Options{Gatherer: prometheus.NewRegistry(), API: (&noted{}).api()})
	for _, c := range []struct {
		method, path string
		status       int
		allow, words string
	}{
		{"GET", "/api/v1/severs", 404, "", "the API has no /api/v1/severs"},
		{"POST", "/api/v1/servers", 405, "GET", "/api/v1/servers is for GET, not for POST"},
		{"GET", "/api/v1/servers/mbx1/block", 405, "POST", "/api/v1/servers/mbx1/block is for POST, not for GET"},
		{"DELETE", "/api/v1/settings", 405, "GET, POST", "/api/v1/settings is for GET and POST, not for DELETE"},
	} {
		recorder := httptest.NewRecorder()
		site.ServeHTTP(recorder, httptest.NewRequest(c.method, c.path, nil))
		var got Problem
		err := json.Unmarshal(recorder.Body.Bytes(), &got)
		if err != nil || recorder.Code != c.status || got.Status != c.status || got.Detail != c.words ||
			recorder.Header().Get("Allow") != c.allow || recorder.Header().Get("Content-Type") != problemType {
			t.Errorf("%s %s: %d %v %+v (%v)", c.method, c.path, recorder.Code, recorder.Header(), got, err)
		}
	}
}

func decoded(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// losses lists what a description has lost at a place, or demands newly. Words for people may change.
func losses(before, after any, at string) (all []string) {
	switch was := before.(type) {
	case map[string]any:
		is, _ := after.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(was)) {
			value, there := is[key]
			switch {
			case slices.Contains([]string{"description", "summary", "title"}, key) && !isObject(was[key]):
			case !there:
				all = append(all, at+"/"+key+" is gone")
			default:
				all = append(all, losses(was[key], value, at+"/"+key)...)
			}
		}
	case []any:
		is, _ := after.([]any)
		old, now := namesOf(was), namesOf(is)
		for _, name := range old {
			if !slices.Contains(now, name) {
				all = append(all, at+" has no "+name)
			}
		}
		for _, name := range now {
			if strings.HasSuffix(at, "/required") && !slices.Contains(old, name) {
				all = append(all, at+" has a new "+name)
			}
		}
	default:
		if !reflect.DeepEqual(before, after) {
			all = append(all, fmt.Sprintf("%s was %v, is %v", at, before, after))
		}
	}
	return all
}

func isObject(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

// namesOf names the items of a list: parameters by place and name.
func namesOf(list []any) (names []string) {
	for _, item := range list {
		if parameter, ok := item.(map[string]any); ok {
			names = append(names, fmt.Sprint(parameter["in"], " ", parameter["name"]))
			continue
		}
		names = append(names, fmt.Sprint(item))
	}
	return names
}

// comment gives a description the comments of the Go types that it is made from.
func comment(t *testing.T, api *huma.OpenAPI) {
	t.Helper()
	words := make(map[string]map[string]string)
	for name, schema := range api.Components.Schemas.Map() {
		of := api.Components.Schemas.TypeFromRef("#/components/schemas/" + name)
		schema.Description = commentsOf(t, words, of)[of.Name()]
		describeFields(t, words, schema, of)
	}
}

// describeFields gives properties the comments of fields, those of embedded types too.
func describeFields(t *testing.T, words map[string]map[string]string, schema *huma.Schema, of reflect.Type) {
	for field := range of.Fields() {
		if field.Anonymous {
			describeFields(t, words, schema, field.Type)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if property := schema.Properties[name]; property != nil {
			property.Description = commentsOf(t, words, of)[of.Name()+"."+field.Name]
		}
	}
}

// commentsOf returns the comments of the types and fields of a type's package, by name. It keeps them in words.
func commentsOf(t *testing.T, words map[string]map[string]string, of reflect.Type) map[string]string {
	t.Helper()
	inside, ours := strings.CutPrefix(of.PkgPath(), "portico/")
	if !ours {
		return nil
	}
	if words[inside] != nil {
		return words[inside]
	}
	found := make(map[string]string)
	words[inside] = found
	text := func(groups ...*ast.CommentGroup) string {
		for _, group := range groups {
			if said := strings.TrimSpace(group.Text()); said != "" {
				return strings.Join(strings.Fields(said), " ")
			}
		}
		return ""
	}
	names, err := filepath.Glob(filepath.Join("..", "..", inside, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			group, ok := declared.(*ast.GenDecl)
			if !ok || group.Tok != gotoken.TYPE {
				continue
			}
			for _, spec := range group.Specs {
				named := spec.(*ast.TypeSpec)
				found[named.Name.Name] = text(named.Doc, group.Doc)
				structure, ok := named.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range structure.Fields.List {
					for _, of := range field.Names {
						found[named.Name.Name+"."+of.Name] = text(field.Doc, field.Comment)
					}
				}
			}
		}
	}
	return found
}
