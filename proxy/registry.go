package proxy

import "sync"

// registry has the clients in set-up, so that Shutdown and Close can end their waits. Safe for concurrent use.
type registry struct {
	mu       sync.Mutex
	clients  map[*client]struct{}
	total    uint64 // so far
	draining bool   // all have been interrupted
	killed   bool   // all have been cut off
}

// add adds a client. If drain or kill was called before, it does the same to the client at once.
func (r *registry) add(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		r.clients = make(map[*client]struct{})
	}
	r.clients[c] = struct{}{}
	r.total++
	if r.draining {
		c.interrupt()
	}
	if r.killed {
		c.sock.Abort()
	}
}

// count returns how many clients there have been so far.
func (r *registry) count() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// remove removes a client. It returns false if the client was interrupted: its wait may end at any moment.
func (r *registry) remove(c *client) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, c)
	return !r.draining
}

// drain interrupts all clients, except those in goodbye.
func (r *registry) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
	for c := range r.clients {
		c.interrupt()
	}
}

// kill aborts all connections, whatever their sessions do.
func (r *registry) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining, r.killed = true, true
	for c := range r.clients {
		c.sock.Abort()
	}
}
