package proxy

import "sync"

// registry knows the clients in set-up, so that the server's end reaches those that are waited for. Safe for
// concurrent use.
type registry struct {
	mu       sync.Mutex
	clients  map[*client]struct{}
	total    uint64 // so far
	draining bool   // all have been interrupted
	killed   bool   // all have been cut off
}

// add notes a client. One that comes late is told at once.
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

// remove forgets a client, and answers false if it has been told something, which may come true at any moment.
func (r *registry) remove(c *client) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, c)
	return !r.draining
}

// drain interrupts all clients, but for those that are being said goodbye to.
func (r *registry) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
	for c := range r.clients {
		c.interrupt()
	}
}

// kill cuts all clients off, whatever is being done with them.
func (r *registry) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining, r.killed = true, true
	for c := range r.clients {
		c.sock.Abort()
	}
}
