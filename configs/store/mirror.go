package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Mirror holds the entries of a Set in memory, so reading them neither waits nor fails. It follows the store: a change
// by another writer has the same effect as one by this process. It is safe for concurrent use.
type Mirror[T any] struct {
	set Set[T]
	opt MirrorOptions

	// writing is held from a change of the store, or a read of all entries, until items has the result. So items never
	// goes back to an earlier state.
	writing sync.Mutex
	calling sync.Mutex // held while Changed runs

	mu    sync.Mutex // guards what follows
	items map[string]Item[T]
	names []string // of items, sorted
}

// MirrorOptions are the callbacks of a Mirror.
type MirrorOptions struct {
	// Changed is called after each change of the entries by any writer: one call at a time, and before Put or Remove
	// returns. It must not change the entries. It may be nil.
	Changed func()
	// Names is called before Changed with the names of the entries that have changed, are new or were deleted. It may
	// be nil.
	Names func(names []string)
	// Failed is called with the reason when entries cannot be read or followed. The values in memory stay. It may be
	// nil.
	Failed func(error)
}

// NewMirror reads the entries of a set. Run follows the store from then on.
func NewMirror[T any](ctx context.Context, set Set[T], o MirrorOptions) (*Mirror[T], error) {
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Names == nil {
		o.Names = func([]string) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	m := &Mirror[T]{set: set, opt: o, items: make(map[string]Item[T])}
	_, unreadable, err := m.readAll(ctx)
	for _, err := range unreadable {
		m.opt.Failed(err)
	}
	return m, err
}

// Run follows the store until ctx ends or the store closes. It calls Failed if it cannot.
func (m *Mirror[T]) Run(ctx context.Context) {
	batches, err := m.set.Watch(ctx)
	if err != nil {
		m.opt.Failed(err)
		return
	}
	all := true // the first batch has all that there is
	for batch := range batches {
		var names []string
		for _, item := range batch {
			names = append(names, item.Name)
		}
		if all {
			names = nil
		}
		err := m.Refresh(ctx, names...)
		if all = err != nil; all && ctx.Err() == nil {
			m.opt.Failed(err)
		}
	}
}

// RunEach is like Run, and also calls do at the interval every. It returns when ctx has ended.
func (m *Mirror[T]) RunEach(ctx context.Context, every time.Duration, do func()) {
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		m.Run(ctx)
	}()
	defer func() { <-followed }()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// Refresh reads entries now, all of them if no name is given. Run does so after each change; a caller that needs the
// current entries does not have to wait for that.
func (m *Mirror[T]) Refresh(ctx context.Context, names ...string) error {
	var changed []string
	var unreadable []error
	var err error
	m.writing.Lock()
	if len(names) == 0 {
		changed, unreadable, err = m.readAll(ctx)
	} else {
		changed, unreadable, err = m.read(ctx, names)
	}
	m.writing.Unlock()
	for _, err := range unreadable { // without the locks: whoever is told may look at the entries
		m.opt.Failed(err)
	}
	if len(changed) > 0 {
		m.tell(changed)
	}
	return err
}

// readAll is Refresh of all entries. It returns the names of those that have changed.
func (m *Mirror[T]) readAll(ctx context.Context) (changed []string, unreadable []error, err error) {
	all, err := m.set.store.List(ctx, m.set.prefix)
	if err != nil {
		return nil, nil, err
	}
	now, names := make(map[string]Item[T], len(all)), make([]string, 0, len(all))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, entry := range all {
		name := m.set.nameOf(entry)
		names = append(names, name)
		item, differs, err := m.after(name, entry)
		if now[name] = item; differs {
			changed = append(changed, name)
		}
		if err != nil {
			unreadable = append(unreadable, err)
		}
	}
	for name := range m.items {
		if _, still := now[name]; !still {
			changed = append(changed, name)
		}
	}
	m.items, m.names = now, names
	return changed, unreadable, nil
}

// read is Refresh of some entries.
func (m *Mirror[T]) read(ctx context.Context, names []string) (changed []string, unreadable []error, err error) {
	for _, name := range names {
		entry, err := m.set.store.Get(ctx, m.set.prefix+name)
		gone := errors.Is(err, ErrNotFound)
		if err != nil && !gone {
			return changed, unreadable, err
		}
		m.mu.Lock()
		_, differs := m.items[name]
		if gone {
			m.remove(name)
		} else {
			var item Item[T]
			if item, differs, err = m.after(name, entry); err != nil {
				unreadable = append(unreadable, err)
			}
			m.put(item)
		}
		m.mu.Unlock()
		if differs {
			changed = append(changed, name)
		}
	}
	return changed, unreadable, nil
}

// after returns the item of an entry, and whether it differs from the one in memory. err says why it cannot be read;
// the value in memory stays. The caller holds mu.
func (m *Mirror[T]) after(name string, entry Entry) (item Item[T], differs bool, err error) {
	before, ok := m.items[name]
	if before.Revision == entry.Revision { // most of them, and reading a value takes long
		return before, false, nil
	}
	item = m.set.item(entry)
	if err = item.Err; err != nil && ok {
		item.Value, item.Err = before.Value, before.Err
	}
	return item, true, err
}

// put takes an item in. The caller holds mu.
func (m *Mirror[T]) put(item Item[T]) {
	if at, old := slices.BinarySearch(m.names, item.Name); !old {
		m.names = slices.Insert(m.names, at, item.Name)
	}
	m.items[item.Name] = item
}

// remove drops an item. The caller holds mu.
func (m *Mirror[T]) remove(name string) {
	if at, found := slices.BinarySearch(m.names, name); found {
		m.names = slices.Delete(m.names, at, at+1)
	}
	delete(m.items, name)
}

// Tell calls Changed though no entry has changed, in turn with its other calls: what the entries mean may depend on
// the time.
func (m *Mirror[T]) Tell() { m.tell(nil) }

// tell calls Names and Changed.
func (m *Mirror[T]) tell(names []string) {
	m.calling.Lock()
	defer m.calling.Unlock()
	if len(names) > 0 {
		m.opt.Names(names)
	}
	m.opt.Changed()
}

// All returns the entries that can be read, sorted by name.
func (m *Mirror[T]) All() []Item[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Item[T], 0, len(m.items))
	for _, name := range m.names {
		if item := m.items[name]; item.Err == nil {
			all = append(all, item)
		}
	}
	return all
}

// Len is the number of entries, also of those that cannot be read.
func (m *Mirror[T]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// Item returns an entry from memory, with revision 0 if it does not exist.
func (m *Mirror[T]) Item(name string) Item[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if item, ok := m.items[name]; ok {
		return item
	}
	return Item[T]{Name: name}
}

// Get returns an entry from the store, with revision 0 if it does not exist.
func (m *Mirror[T]) Get(ctx context.Context, name string) (Item[T], error) {
	return m.set.Get(ctx, name)
}

// Put stores an item; see [Set.Put].
func (m *Mirror[T]) Put(ctx context.Context, item Item[T]) (Item[T], error) {
	m.writing.Lock()
	item, err := m.set.Put(ctx, item)
	if err == nil {
		m.mu.Lock()
		m.put(item)
		m.mu.Unlock()
	}
	m.writing.Unlock()
	if err == nil {
		m.tell([]string{item.Name})
	}
	return item, err
}

// Remove deletes an item; see [Set.Remove].
func (m *Mirror[T]) Remove(ctx context.Context, item Item[T]) error {
	m.writing.Lock()
	err := m.set.Remove(ctx, item)
	if err == nil && item.Revision != 0 {
		m.mu.Lock()
		m.remove(item.Name)
		m.mu.Unlock()
	}
	m.writing.Unlock()
	if err == nil && item.Revision != 0 {
		m.tell([]string{item.Name})
	}
	return err
}
