package backend

import (
	"fmt"
	"slices"
	"sync"
)

// ActiveManager knows which copy of each database is active. A database starts with its first copy; only Activate changes
// that, so a server that recovers gets nothing back by itself. Its methods are safe for concurrent use.
type ActiveManager struct {
	mu     sync.RWMutex
	active map[string]string // database -> server, "" while none is active
	copies map[string][]string
}

func newActiveManager(databases []DatabaseOptions) *ActiveManager {
	m := &ActiveManager{active: make(map[string]string), copies: make(map[string][]string)}
	for _, d := range databases {
		m.copies[d.Name] = slices.Clone(d.Copies)
		m.active[d.Name] = d.Copies[0]
	}
	return m
}

// Active returns the server with the active copy of database; ok is false if there is none now, or no such database.
func (m *ActiveManager) Active(database string) (server string, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	server = m.active[database]
	return server, server != ""
}

// Activate makes server's copy of database the active one for sign-ins from now on; "" leaves the database without an active
// copy, which refuses them. Sessions that exist stay where they are.
func (m *ActiveManager) Activate(database, server string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	copies, ok := m.copies[database]
	if !ok {
		return fmt.Errorf("no database %q", database)
	}
	if server != "" && !slices.Contains(copies, server) {
		return fmt.Errorf("mailbox server %q holds no copy of database %q", server, database)
	}
	m.active[database] = server
	return nil
}

// copiesFrom returns the servers with a copy of database, the active one first and then those behind it in the configured
// order, around the end. It is empty while no copy is active.
func (m *ActiveManager) copiesFrom(database string) []string {
	active, ok := m.Active(database)
	if !ok {
		return nil
	}
	copies := m.copies[database] // never changed
	i := slices.Index(copies, active)
	return slices.Concat(copies[i:], copies[:i])
}
