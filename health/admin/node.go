package admin

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

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

// Check refuses a mailbox server or an IMAP command that has none of these names; "" is allowed. further are commands
// beside IMAP's.
func (n Names) Check(server, command string, further ...string) error {
	if server != "" && !slices.Contains(n.Servers, server) {
		return NoSuch("mailbox server", server, n.Servers)
	}
	known := slices.Concat(n.Commands, further)
	if command != "" && !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, command) }) {
		return NoSuch("command", strings.ToUpper(command), known)
	}
	return nil
}

// Bundled says where a bundle is.
type Bundled struct {
	Bundle string `json:"bundle"`
}

// nodeRoutes adds what concerns this node to the API.
func nodeRoutes(api huma.API, n Node) {
	get(api, "list-names", PathNames, "List the names that requests may have",
		func(context.Context, *None) (Names, error) { return n.Names(), nil })
	get(api, "list-nodes", PathNodes, "List the names of the other nodes",
		func(context.Context, *None) ([]string, error) { return n.Names().Nodes, nil })
	change(api, "write-bundle", PathBundle, "Write down all that is known, for somebody who looks for a fault",
		func(ctx context.Context, _ string, _ None) (Bundled, error) {
			where, err := n.Bundle(ctx)
			if err == nil {
				Changed(ctx, Difference{"bundle", nil, where})
			}
			return Bundled{where}, err
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
