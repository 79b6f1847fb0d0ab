package counts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/configs/store"
)

// hearer adds the counts of the other nodes. It belongs to one goroutine.
type hearer struct {
	e     *Exchange
	nodes map[string]*heard
}

// heard is what another node has told.
type heard struct {
	last    list
	age     int  // intervals since it was told
	counted bool // what there is now is added
}

// hear follows the lists of the other nodes.
func (e *Exchange) hear(ctx context.Context) {
	batches, err := e.opt.Store.Watch(ctx, prefix)
	if err != nil {
		e.opt.Failed(err)
		return
	}
	h := &hearer{e, make(map[string]*heard)}
	timer := time.NewTimer(e.interval())
	defer timer.Stop()
	for {
		select {
		case batch, open := <-batches:
			if !open {
				return
			}
			for _, c := range batch {
				if name := strings.TrimPrefix(c.Key, prefix); name != e.opt.Name {
					h.take(name, c)
				}
			}
		case <-timer.C:
			h.expire()
			timer.Reset(e.interval())
		}
		e.note(func(s *State) { s.Heard = h.counts() })
	}
}

// take takes the list of a node, or its end.
func (h *hearer) take(name string, c store.Change) {
	now := list{counts: make([]map[uint64]uint32, len(h.e.opt.Kinds))}
	if !c.Deleted {
		var err error
		if now, err = decodeList(c.Value, len(h.e.opt.Kinds)); err != nil {
			h.e.opt.Failed(fmt.Errorf("what node %s has counted: %w", name, err))
			return // the list before is soon forgotten
		}
	}
	of := h.nodes[name]
	if of == nil {
		of = &heard{last: list{counts: make([]map[uint64]uint32, len(h.e.opt.Kinds))}}
		h.nodes[name] = of
	}
	before := of.last
	present := h.present(name)
	for i, kind := range h.e.opt.Kinds {
		switch {
		case !kind.Events:
			h.change(i, of.countedOf(before, i), heard{last: now, counted: present}.countedOf(now, i))
		case present && before.start == now.start:
			h.happened(i, before.counts[i], now.counts[i])
		case present: // the node has started, and counts from 0
			h.happened(i, nil, now.counts[i])
		}
	}
	of.last, of.age, of.counted = now, 0, present
	if c.Deleted {
		delete(h.nodes, name)
	}
}

// expire takes back what nodes have counted that are gone or silent.
func (h *hearer) expire() {
	for name, of := range h.nodes {
		of.age++
		counted := of.age <= forgotten && h.present(name)
		if counted == of.counted {
			continue
		}
		after := heard{last: of.last, counted: counted}
		for i, kind := range h.e.opt.Kinds {
			if !kind.Events {
				h.change(i, of.countedOf(of.last, i), after.countedOf(of.last, i))
			}
		}
		of.counted = counted
	}
}

func (h *hearer) present(name string) bool { return slices.Contains(h.e.opt.Present(), name) }

// countedOf returns the counts of a kind in a list, if they are added.
func (h heard) countedOf(l list, kind int) map[uint64]uint32 {
	if !h.counted {
		return nil
	}
	return l.counts[kind]
}

// counts returns how many counts are added.
func (h *hearer) counts() (n int) {
	for _, of := range h.nodes {
		for i := range of.last.counts {
			n += len(of.countedOf(of.last, i))
		}
	}
	return n
}

// change hands on what has changed between two lists of a kind.
func (h *hearer) change(kind int, before, now map[uint64]uint32) {
	var changes []Change
	for key, n := range now {
		if by := int64(n) - int64(before[key]); by != 0 {
			changes = append(changes, Change{key, by})
		}
	}
	for key, n := range before {
		if _, stays := now[key]; !stays {
			changes = append(changes, Change{key, -int64(n)})
		}
	}
	h.add(kind, changes)
}

// happened hands on the events that are new in a list. If a count is smaller than before, the node has forgotten the
// earlier events and counts from 0.
func (h *hearer) happened(kind int, before, now map[uint64]uint32) {
	var changes []Change
	for key, n := range now {
		if had := before[key]; n >= had {
			n -= had
		}
		if n > 0 {
			changes = append(changes, Change{key, int64(n)})
		}
	}
	h.add(kind, changes)
}

func (h *hearer) add(kind int, changes []Change) {
	if len(changes) > 0 {
		h.e.opt.Kinds[kind].Add(changes)
	}
}
