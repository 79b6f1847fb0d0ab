package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"portico/configs/suggest"
)

// The paths of what concerns this node, or all it knows.
const (
	PathNames  = prefix + "names"
	PathNodes  = prefix + "nodes"
	PathBundle = prefix + "bundle"
)

// Node is this Portico.
type Node interface {
	// Names lists the names that requests may have.
	Names() Names
	// Bundle writes down all that is known, and says where.
	Bundle(ctx context.Context) (where string, err error)
}

// Names are the names that requests may have.
type Names struct {
	Node      string   `json:"node"`  // this one
	Nodes     []string `json:"nodes"` // the others
	Servers   []string `json:"servers"`
	Databases []string `json:"databases"`
	Blocked   []string `json:"blocked"`  // servers on which no database may be activated
	Commands  []string `json:"commands"` // that the proxy tells apart, in upper case
}

// nodeRoutes adds what concerns this node to the pages.
func nodeRoutes(mux *http.ServeMux, n Node) {
	get(mux, PathNames, func(*http.Request) (any, error) { return n.Names(), nil })
	get(mux, PathNodes, func(*http.Request) (any, error) { return n.Names().Nodes, nil })
	change(mux, PathBundle, func(ctx context.Context, _ string, _ struct{}) (any, error) {
		where, err := n.Bundle(ctx)
		if err == nil {
			Changed(ctx, Difference{"bundle", nil, where})
		}
		return map[string]string{"bundle": where}, err
	})
}

// NoSuch returns the error for a name that is none of the known ones. It is of KindUnknown, and says what may have
// been meant. An address with a password that was typed for a name is not shown.
func NoSuch(what, name string, known []string) error {
	if at := strings.LastIndexByte(name, '@'); at >= 0 && strings.Contains(name[:at], ":") {
		name = "*****"
	}
	return Unknown(errors.New(suggest.NoSuch(what, name, known)))
}
