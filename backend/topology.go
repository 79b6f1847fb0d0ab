package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"portico/configs/store"
)

// topology is the configured mailbox servers and databases. It does not change.
type topology struct {
	servers         map[string]*mailboxServer // by name
	byAddress       map[string]string         // host:port -> name of the mailbox server
	databases       []DatabaseOptions
	interchangeable map[string]bool // by name of the database, for all databases
	pinIn           store.Store     // keeps the set of databases with RoutingHash; else nil
}

func newTopology(o Options) (topology, error) {
	t := topology{
		servers:         make(map[string]*mailboxServer),
		byAddress:       make(map[string]string),
		databases:       o.Databases,
		interchangeable: make(map[string]bool),
	}
	for _, server := range o.Servers {
		if err := t.addServer(server, o.Now); err != nil {
			return t, err
		}
	}
	for _, database := range o.Databases {
		if err := t.addDatabase(database); err != nil {
			return t, err
		}
	}
	if o.Routing == RoutingHash {
		t.pinIn = o.Store
	}
	return t, nil
}

func (t *topology) addServer(o ServerOptions, now func() time.Time) error {
	if _, twice := t.servers[o.Name]; twice || o.Name == "" {
		return fmt.Errorf("mailbox server %q: each name must be given exactly once", o.Name)
	}
	s, err := newMailboxServer(o, now)
	if err != nil {
		return fmt.Errorf("mailbox server %q: %w", o.Name, err)
	}
	t.servers[o.Name] = s
	for _, a := range o.Addresses {
		t.byAddress[a] = o.Name
	}
	return nil
}

func (t *topology) addDatabase(o DatabaseOptions) error {
	if _, twice := t.interchangeable[o.Name]; twice || o.Name == "" {
		return fmt.Errorf("database %q: each name must be given exactly once", o.Name)
	}
	if len(o.Copies) == 0 {
		return fmt.Errorf("database %q: no mailbox server holds a copy", o.Name)
	}
	for i, name := range o.Copies {
		if t.servers[name] == nil {
			return fmt.Errorf("database %q: there is no mailbox server %q", o.Name, name)
		}
		if slices.Contains(o.Copies[:i], name) {
			return fmt.Errorf("database %q: mailbox server %q is named twice", o.Name, name)
		}
	}
	t.interchangeable[o.Name] = o.Interchangeable
	return nil
}

// apply is Tier.Configure.
func (t *topology) apply(ctx context.Context, active *ActiveManager) ([]Adopted, error) {
	if t.pinIn == nil {
		return active.Configure(ctx, t.databases)
	}
	pinned, err := pin(ctx, t.pinIn, t.databases)
	if err != nil {
		return nil, err
	}
	adopted, err := active.Configure(ctx, t.databases)
	if err != nil && pinned != 0 {
		err = errors.Join(err, t.pinIn.Delete(context.WithoutCancel(ctx), pinKey, pinned))
	}
	return adopted, err
}

// server returns a mailbox server, or an error that wraps ErrUnknownName.
func (t *topology) server(name string) (*mailboxServer, error) {
	s := t.servers[name]
	if s == nil {
		return nil, fmt.Errorf("mailbox server %s: %w", name, ErrUnknownName)
	}
	return s, nil
}

func databaseNames(databases []DatabaseOptions) []string {
	names := make([]string, 0, len(databases))
	for _, d := range databases {
		names = append(names, d.Name)
	}
	return names
}

// Servers lists the names of the mailbox servers, sorted.
func (t *Tier) Servers() []string { return slices.Sorted(maps.Keys(t.topology.servers)) }

// Databases lists the names of the databases, sorted.
func (t *Tier) Databases() []string { return slices.Sorted(maps.Keys(t.topology.interchangeable)) }
