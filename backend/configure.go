package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"portico/configs/store"
)

// Adopted describes a database that Configure has applied.
type Adopted struct {
	Database string
	Server   string // with the active copy
	// the database that had these copies until now, and is no longer configured: it has another name now
	From string
	// that server is not among the configured copies, so nobody is let in; else the copy was written down just now
	Lost bool
}

// Configure applies the configured databases. For a new database it stores the first copy as the active one; for the
// others the order of copies changes nothing. If a new database has the same copies as one that is removed, it is that
// database with another name, and active on the same server. Configure returns an error and changes nothing if a
// database would lose its active copy, or a copy that a move is using. At a start, a database without its active copy
// is applied too, but it admits no users until it is moved.
func (m *ActiveManager) Configure(ctx context.Context, databases []DatabaseOptions) ([]Adopted, error) {
	m.configuring.Lock()
	defer m.configuring.Unlock()
	renamed, err := m.preview(ctx, databases)
	if err != nil {
		return nil, err
	}
	written, err := m.record(ctx, databases, renamed)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		err = m.mayReplace(databases) // a move may have begun since
	}
	if err != nil {
		return nil, errors.Join(err, m.unrecord(ctx, written))
	}
	adopted := m.replace(databases, written)
	m.wakeFollower() // for what another writer has stored meanwhile
	for i, a := range adopted {
		if from := renamed[a.Database]; from != nil && from.active == a.Server {
			adopted[i].From = from.name
		}
	}
	return adopted, nil
}

// Preview returns the databases that Configure would give another name, by their names until now, or its error. It
// changes nothing.
func (m *ActiveManager) Preview(ctx context.Context, databases []DatabaseOptions) (renamed map[string]string,
	err error) {
	m.configuring.Lock()
	defer m.configuring.Unlock()
	found, err := m.preview(ctx, databases)
	renamed = make(map[string]string)
	for name, from := range found {
		renamed[from.name] = name
	}
	return renamed, err
}

// preview is Preview by the names from now on. The caller holds configuring.
func (m *ActiveManager) preview(ctx context.Context, databases []DatabaseOptions) (map[string]*renaming, error) {
	if err := errors.Join(m.stored.active.Refresh(ctx), m.stored.moving.Refresh(ctx)); err != nil {
		return nil, fmt.Errorf("read the active copies: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayReplace(databases); err != nil {
		return nil, err
	}
	return m.renamed(databases), nil
}

// ActiveCopies returns the server with the active copy of each database, from a store.
func ActiveCopies(ctx context.Context, s store.Store) (map[string]string, error) {
	active := make(map[string]string)
	items, err := texts(s, activeKey).List(ctx)
	for _, item := range items {
		active[item.Name] = item.Value
	}
	return active, err
}

// record stores the active copy of databases that have none in the store: of one in force the copy that is, else the
// first. It returns the entries that it has written.
func (m *ActiveManager) record(ctx context.Context, databases []DatabaseOptions,
	renamed map[string]*renaming) (written []store.Item[string], err error) {
	for _, o := range databases {
		item := m.stored.active.Item(o.Name)
		if item.Revision != 0 {
			continue
		}
		item.Value = o.Copies[0]
		if from := renamed[o.Name]; from != nil {
			item.Value = from.active
		}
		if at, inForce := m.Active(o.Name); inForce {
			item.Value = at
		}
		item, err = m.stored.active.Put(ctx, item)
		if errors.Is(err, store.ErrConflict) { // another node was first
			err = m.stored.active.Refresh(ctx)
		} else if err == nil {
			written = append(written, item)
		}
		if err != nil {
			return written, fmt.Errorf("database %s: store the active copy: %w", o.Name, err)
		}
	}
	return written, nil
}

// renaming is a database that is no longer configured, as another one that has its copies sees it.
type renaming struct{ name, active string }

// renamed finds for databases that are not in force the one that goes, or has gone since the start, and has the same
// copies. Where there are several of those, none is it. The caller holds mu.
func (m *ActiveManager) renamed(databases []DatabaseOptions) map[string]*renaming {
	stays := make(map[string]bool, len(databases))
	for _, o := range databases {
		stays[o.Name] = true
	}
	sorted := func(copies []string) string { return strings.Join(slices.Sorted(slices.Values(copies)), " ") }
	gone := make(map[string]*renaming)
	for name, d := range m.databases {
		at := d.active
		if !d.configured { // then nobody follows its moves
			at = m.stored.active.Item(name).Value
		}
		if stays[name] || at == "" || len(d.suspended) > 0 {
			continue
		}
		of := &renaming{name, at}
		if gone[sorted(d.copies)] != nil {
			of = &renaming{}
		}
		gone[sorted(d.copies)] = of
	}
	renamed := make(map[string]*renaming)
	for _, o := range databases {
		if of := gone[sorted(o.Copies)]; m.databases[o.Name] == nil && of != nil && of.name != "" {
			renamed[o.Name] = of
		}
	}
	return renamed
}

// unrecord removes entries that record has written, after a failure.
func (m *ActiveManager) unrecord(ctx context.Context, written []store.Item[string]) error {
	var failures []error
	for _, item := range written {
		if err := m.stored.active.Remove(context.WithoutCancel(ctx), item); err != nil {
			failures = append(failures, fmt.Errorf("roll back %s: %w", activeKey+item.Name, err))
		}
	}
	return errors.Join(failures...)
}

// mayReplace returns why databases cannot replace those in force, or nil. The caller holds mu.
func (m *ActiveManager) mayReplace(databases []DatabaseOptions) error {
	copies := make(map[string][]string, len(databases))
	for _, o := range databases {
		copies[o.Name] = o.Copies
	}
	var failures []error
	for name, d := range m.databases {
		if !d.configured {
			continue
		}
		after, stays := copies[name]
		if d.to != "" && !(slices.Contains(after, d.to) && slices.Contains(after, d.active)) {
			failures = append(failures,
				fmt.Errorf("database %s is moving from %s to %s: try again when the move is over", name,
					d.active, d.to))
			continue
		}
		if !stays {
			continue // its record stays for the day when it is configured again
		}
		active, between := d.active, d.suspended
		if stored := m.stored.active.Item(name); stored.Revision != 0 { // another writer may have moved it just now
			active, between = stored.Value, m.stored.moving.Item(name).Value
		}
		for _, server := range append([]string{active}, between...) {
			if slices.Contains(d.copies, server) && !slices.Contains(after, server) {
				failures = append(failures, &CopyTakenError{Database: name, Server: server, Active: server == active,
					Other: shared(d.copies, after)})
				break
			}
		}
	}
	slices.SortFunc(failures, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(failures...)
}

// shared returns the first server that is in both lists, or "".
func shared(a, b []string) string {
	for _, server := range b {
		if slices.Contains(a, server) {
			return server
		}
	}
	return ""
}

// CopyTakenError says that a new configuration lacks a copy that users may be on.
type CopyTakenError struct {
	Database, Server string
	Active           bool   // else a move that has failed may have left the copy active
	Other            string // a copy that stays, or ""
}

// Error also says what to do.
func (e *CopyTakenError) Error() string {
	what := "is active on"
	if !e.Active {
		what = "may be active on"
	}
	if e.Other != "" {
		return fmt.Sprintf("database %s %s %s, which is no longer among its copies: run `portico database move "+
			"%s %s` first",
			e.Database, what, e.Server, e.Database, e.Other)
	}
	return fmt.Sprintf("database %s %s %s, and none of its copies stays: add the new copies beside %s, run `portico "+
		"database move %s SERVER`, and then remove %s", e.Database, what, e.Server, e.Server, e.Database, e.Server)
}

// replace applies databases. The caller holds mu.
func (m *ActiveManager) replace(databases []DatabaseOptions, written []store.Item[string]) []Adopted {
	var adopted []Adopted
	stays := make(map[string]bool, len(databases))
	for _, o := range databases {
		stays[o.Name] = true
		d := m.databases[o.Name]
		if d == nil {
			d = &database{turn: make(chan struct{}, 1)}
			m.databases[o.Name] = d
		}
		d.copies, d.hook = slices.Clone(o.Copies), o.Hook
		if !d.configured {
			d.configured, d.active = true, m.stored.active.Item(o.Name).Value
			d.suspended = m.stored.moving.Item(o.Name).Value
			isNew := slices.ContainsFunc(written, func(item store.Item[string]) bool { return item.Name == o.Name })
			if isNew || d.lost() {
				adopted = append(adopted, Adopted{Database: o.Name, Server: d.active, Lost: d.lost()})
			}
		}
	}
	for name, d := range m.databases {
		d.configured = stays[name]
	}
	return adopted
}
