package admin

import (
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// newOperations returns the API without any request yet. Its requests and answers are checked against, and described
// by, the Go types of the handlers.
func newOperations(mux *http.ServeMux) huma.API {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Portico", Version: "1", Description: "What a node of Portico shows and does. " +
				"GET only reads; every other request changes something and is in the log. This description only " +
				"grows: fields and requests may be added, and none is taken away or means something else."},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName)},
		},
		Formats: map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},

		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true, // a filter that is not understood must not be left out
		Transformers:                 []huma.Transformer{asProblem},
	}
	api := humago.New(mux, config)
	api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	return api
}

// schemaName names a type in the description: those of other packages by package and name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Name() == "" || strings.Contains(t.Name(), "[") || t.PkgPath() == reflect.TypeFor[Change]().PkgPath() {
		return name
	}
	of := path.Base(t.PkgPath())
	return strings.ToUpper(of[:1]) + of[1:] + name
}

// operation describes a request. Its tag is its noun.
func operation(method, id, at, summary string) huma.Operation {
	noun, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(at, prefix), "/"), "/")
	return huma.Operation{
		OperationID: id, Method: method, Path: at, Summary: summary, Tags: []string{noun}, MaxBodyBytes: maxBody,
		Responses: map[string]*huma.Response{"default": problemResponse("An error, with its kind.")},
	}
}

// problemResponse describes an answer that is an error.
func problemResponse(description string) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{problemType: {
		Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}}}
}

// allOperations describes all requests, whatever parts a node has.
func allOperations() *huma.OpenAPI {
	api := newOperations(http.NewServeMux())
	API{}.register(api, true)
	callerRoutes(api)
	eventRoutes(api, nil)
	describeSite(api)
	return api.OpenAPI()
}
