package certs

import (
	"crypto/tls"
	"io"
	"slices"
	"sync"
)

// ticketKeys is how many keys of session tickets are good at once: the newest seals, the others still open.
const ticketKeys = 3

// Tickets are the keys that session tickets are sealed with. They live as long as the program, so that clients resume
// their TLS sessions across a reload; only a change of who vouches for clients ends that. Nodes of a site share theirs,
// so that clients resume at another node. Its methods are safe for concurrent use.
type Tickets struct {
	random io.Reader

	mu      sync.Mutex
	keys    [][32]byte
	adopted [][32]byte  // for the first configuration
	shared  [][32]byte  // the site's, in place of keys; see Share
	live    *tls.Config // the configuration that has them
}

// NewTickets returns a first key, from random.
func NewTickets(random io.Reader) (*Tickets, error) {
	t := &Tickets{random: random}
	return t, t.Rotate()
}

// Keys returns the keys, for another process that takes the clients of this one: its tickets and ours are good for
// both. It returns none where a ticket stands for a client's certificate, since the other process may trust others.
func (t *Tickets) Keys() [][32]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil || t.live.ClientCAs != nil {
		return nil
	}
	return slices.Clone(t.inUse(t.live))
}

// Share takes the keys of the site in place of this node's own, the one that seals first. Where a ticket stands for a
// client's certificate the own ones stay, since another node may trust others.
func (t *Tickets) Share(keys [][32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shared = slices.Clone(keys[:min(len(keys), ticketKeys)])
	if t.live != nil {
		t.live.SetSessionTicketKeys(t.inUse(t.live))
	}
}

// inUse returns the keys for a configuration.
func (t *Tickets) inUse(config *tls.Config) [][32]byte {
	if len(t.shared) > 0 && config.ClientCAs == nil {
		return t.shared
	}
	return t.keys
}

// Adopt takes the keys of another process's Keys in place of its own. It is called before Use.
func (t *Tickets) Adopt(keys [][32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.adopted = keys[:min(len(keys), ticketKeys)]
}

// Use gives a configuration the keys, now and after each Rotate, in place of the one that had them. It is not in use
// yet.
func (t *Tickets) Use(config *tls.Config) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.live; before != nil && !samePool(before, config) { // a ticket says that a certificate was verified
		t.keys = nil
		if err := t.add(); err != nil {
			return err
		}
	}
	if len(t.adopted) > 0 && config.ClientCAs == nil {
		t.keys = t.adopted
	}
	t.live, t.adopted = config, nil
	config.SetSessionTicketKeys(t.inUse(config))
	return nil
}

func samePool(a, b *tls.Config) bool {
	if a.ClientCAs == nil || b.ClientCAs == nil {
		return a.ClientCAs == b.ClientCAs
	}
	return a.ClientCAs.Equal(b.ClientCAs)
}

// Rotate makes a new key and forgets the oldest. On an error all stays as it is.
func (t *Tickets) Rotate() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.add(); err != nil {
		return err
	}
	if t.live != nil {
		t.live.SetSessionTicketKeys(t.inUse(t.live))
	}
	return nil
}

func (t *Tickets) add() error {
	var key [32]byte
	if _, err := io.ReadFull(t.random, key[:]); err != nil {
		return err
	}
	kept := append([][32]byte{key}, t.keys...)
	t.keys = kept[:min(len(kept), ticketKeys)]
	return nil
}
