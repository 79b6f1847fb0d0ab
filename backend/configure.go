package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"portico/backend/move"
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
	written, err := m.store(ctx, databases, renamed)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		err = m.mayReplace(databases) // a move may have begun since
	}
	if err != nil {
		return nil, errors.Join(err, m.unstore(ctx, written))
	}
	adopted := m.replace(databases, written)
	m.records.Wake() // for what another writer has stored meanwhile
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
	if err := m.records.Refresh(ctx); err != nil {
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
	items, err := move.Records(s, activeKey).List(ctx)
	for _, item := range items {
		active[item.Name] = item.Value.At
	}
	return active, err
}

// store stores the active copy of databases that have none in the store: of one in force the copy that is, else the
// first. It returns the entries that it has written.
func (m *ActiveManager) store(ctx context.Context, databases []DatabaseOptions,
	renamed map[string]*renaming) (written []store.Item[move.Record], err error) {
	for _, o := range databases {
		if m.records.Record(o.Name).Revision != 0 {
			continue
		}
		server := o.Copies[0]
		if from := renamed[o.Name]; from != nil {
			server = from.active
		}
		if at, inForce := m.Active(o.Name); inForce {
			server = at
		}
		item, err := m.records.Create(ctx, o.Name, server)
		if err == nil {
			written = append(written, item)
		} else if !errors.Is(err, store.ErrConflict) { // else another node was first
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
			at = m.records.Record(name).Value.At
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

// unstore removes entries that store has written, after a failure.
func (m *ActiveManager) unstore(ctx context.Context, written []store.Item[move.Record]) error {
	var failures []error
	for _, item := range written {
		if err := m.records.Remove(context.WithoutCancel(ctx), item); err != nil {
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
		stored := m.records.Record(name) // another writer may have moved it just now
		to := cmp.Or(d.to, stored.Value.To)
		if to != "" && !(slices.Contains(after, to) && slices.Contains(after, d.active)) {
			failures = append(failures,
				fmt.Errorf("database %s is moving from %s to %s: try again when the move is over", name,
					d.active, to))
			continue
		}
		if !stays {
			continue // its record stays for the day when it is configured again
		}
		active, between := d.active, d.suspended
		if stored.Revision != 0 {
			active, between = stored.Value.At, stored.Value.Between
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
func (m *ActiveManager) replace(databases []DatabaseOptions, written []store.Item[move.Record]) []Adopted {
	var adopted []Adopted
	stays := make(map[string]bool, len(databases))
	for _, o := range databases {
		stays[o.Name] = true
		d := m.databases[o.Name]
		if d == nil {
			d = &database{}
			m.databases[o.Name] = d
		}
		d.copies, d.hook, d.interchangeable = slices.Clone(o.Copies), o.Hook, o.Interchangeable
		if !d.configured {
			r := m.records.Record(o.Name).Value
			d.configured = true
			if d.take(r); r.Moving() { // by another member
				d.hold()
			}
			isNew := func(item store.Item[move.Record]) bool { return item.Name == o.Name }
			if slices.ContainsFunc(written, isNew) || d.lost() {
				adopted = append(adopted, Adopted{Database: o.Name, Server: d.active, Lost: d.lost()})
			}
		}
	}
	for name, d := range m.databases {
		d.configured = stays[name]
	}
	return adopted
}
