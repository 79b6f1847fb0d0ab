package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"portico/configs"
	"portico/proxy"
)

// listeners take clients: those of the configuration in force, in its order. The methods are safe for concurrent use.
type listeners struct {
	log   zerolog.Logger
	group *sync.WaitGroup // of the goroutines that take clients
	ended func(error)     // called when one ends, with nil if it was closed
	given activated       // by the service manager

	mu     sync.Mutex // guards what follows
	server *proxy.Server
	open   []*openListener
	// of the configuration before. They still take clients, so that going back to it needs no port; see closeOthers.
	others []*openListener
	closed bool // none is opened any more
}

// openListener is a listener of the configuration. The mutex of listeners guards its socket; the rest does not change.
type openListener struct {
	configs.Listener
	name    string       // by which another configuration, or another process, finds its socket
	network string       // see networkOf
	address net.Addr     // as opened
	serving atomic.Int32 // whether it takes clients
	socket  net.Listener // nil if it could not be opened again
}

// listenerChange is what another configuration needs to listen. It takes no clients yet.
type listenerChange struct {
	next []*openListener
	made []*openListener // those of next that are new
}

// replaces says whether a new listener has the port of one of before. Both cannot go on: which of them gets a client
// would depend on how the client connects.
func (c *listenerChange) replaces(before *openListener) bool {
	return slices.ContainsFunc(c.made, func(made *openListener) bool {
		return overlap(made.address.String(), before.address.String())
	})
}

// abandon closes what was opened for a change that is not made.
func (c *listenerChange) abandon() {
	for _, l := range c.made {
		l.socket.Close()
	}
}

// prepare opens the listeners that another configuration has and this one lacks, or none. A listener with the same
// address and other options shares the socket, so that no client is refused meanwhile. previous is nil but for a start
// in place of another process.
func (l *listeners) prepare(wanted []configs.Listener, previous *takeover) (*listenerChange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change, names := &listenerChange{}, imapNames(wanted)
	leaving := append(l.leaving(names), previous.leaving(names)...)
	for i, listener := range wanted {
		same := l.named(names[i])
		if same != nil && same.Listener == listener {
			change.next = append(change.next, same)
			continue
		}
		next := &openListener{Listener: listener, name: names[i], network: networkOf(listener.Address, wanted)}
		var err error
		if same != nil && same.socket != nil {
			next.socket, err = shared(same.socket)
		} else {
			next.socket, err = previous.listener(next.name, adoptTCP, func() (net.Listener, error) {
				return l.given.listen(next.network, listener.Address, leaving)
			})
		}
		if err != nil {
			change.abandon()
			return nil, fmt.Errorf("listeners[%d]: %w", i, err)
		}
		next.address = next.socket.Addr()
		change.next, change.made = append(change.next, next), append(change.made, next)
	}
	return change, nil
}

// leaving are the sockets that a configuration with other names of listeners does not need. The service manager keeps
// its own ones open. The caller holds mu.
func (l *listeners) leaving(names []string) (all sockets) {
	for _, one := range slices.Concat(l.open, l.others) {
		socket, ok := one.socket.(syscall.Conn)
		if ok && !slices.Contains(names, one.name) && !l.given.has(one.address) {
			all = append(all, socket)
		}
	}
	return all
}

// named returns the listener of a name, nil if there is none. The caller holds mu.
func (l *listeners) named(name string) *openListener {
	for _, known := range slices.Concat(l.open, l.others) {
		if known.name == name {
			return known
		}
	}
	return nil
}

// shared returns another listener on the socket of one.
func shared(ln net.Listener) (net.Listener, error) {
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	return adoptTCP(file)
}

// use lets clients in by the listeners of a change. Those that the change does not have stay until closeOthers, but
// for those whose socket or port a new one takes.
func (l *listeners) use(change *listenerChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		change.abandon()
		return
	}
	before := slices.Concat(l.open, l.others)
	l.open, l.others = change.next, nil
	if l.server != nil {
		for _, made := range change.made {
			l.take(made)
		}
	}
	for _, one := range before {
		switch next := l.named(one.name); {
		case next == one:
		case next != nil:
			l.stop(one)
		case change.replaces(one):
			l.leave(one)
		default:
			l.others = append(l.others, one)
		}
	}
}

// closeOthers stops accepting by the listeners that the configuration in force does not have. Their sessions continue.
func (l *listeners) closeOthers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.others {
		l.leave(one)
	}
	l.others = nil
}

// leave stops accepting by a listener that the configuration in force does not have. The caller holds mu.
func (l *listeners) leave(one *openListener) {
	l.log.Info().Stringer("address", one.address).Msg("listener closed")
	l.stop(one)
	if l.given.has(one.address) {
		l.tellUnused(one.address.String())
	}
}

// tellUnused warns of a socket of the service manager: clients that connect to it wait, and nobody answers.
func (l *listeners) tellUnused(address string) {
	l.log.Warn().Str("address", address).Msg("the service manager has a socket open that is no listener's")
}

// stop stops accepting by a listener. The caller holds mu.
func (l *listeners) stop(one *openListener) {
	if one.socket != nil {
		l.server.StopServing(one.socket)
		one.socket.Close() // in case that Serve has not begun yet
		one.socket = nil
	}
}

// abandon closes listeners that have not served.
func (l *listeners) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.open {
		one.socket.Close()
	}
	l.open = nil
}

// serve lets clients in.
func (l *listeners) serve(server *proxy.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = server
	for _, one := range l.open {
		l.take(one)
	}
}

// take lets clients in by one listener. The caller holds mu.
func (l *listeners) take(one *openListener) {
	l.log.Info().Stringer("address", one.address).Str("tls", string(one.TLS)).Msg("listening")
	one.serving.Add(1)
	socket := one.socket
	l.group.Go(func() {
		defer one.serving.Add(-1)
		err := l.server.Serve(socket, proxy.Listener{Name: one.Listener.Address, TLS: listenerTLS[one.TLS],
			ProxyProtocol: one.ProxyProtocol})
		if l.serves(one, socket) {
			l.ended(err)
		}
	})
}

// serves says whether a listener still has this socket: stop has not been called.
func (l *listeners) serves(one *openListener, socket net.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return one.socket == socket
}

// all lists the listeners of the configuration in force.
func (l *listeners) all() []*openListener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.open)
}

// addresses lists the addresses as opened.
func (l *listeners) addresses() (all []net.Addr) {
	for _, one := range l.all() {
		all = append(all, one.address)
	}
	return all
}

// relisten closes all listeners and opens them again where they were. One that cannot be opened is left to keep.
// Clients that connect in between are refused.
func (l *listeners) relisten() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for i, one := range l.open {
		if l.closed {
			return errStopping
		}
		l.stop(one)
		if err := l.reopen(one); err != nil {
			errs = append(errs, fmt.Errorf("listeners[%d]: %w; will retry", i, err))
		}
	}
	return errors.Join(errs...)
}

// reopen opens one listener where it was. The caller holds mu.
func (l *listeners) reopen(one *openListener) error {
	socket, err := l.given.listen(one.network, one.address.String(), nil)
	if err != nil {
		return err
	}
	one.socket = socket
	l.take(one)
	return nil
}

// reopenPeriod is how often listeners are tried that could not be opened again.
const reopenPeriod = time.Second

// keep opens what relisten could not, once whoever had taken the port is gone, until ctx ends.
func (l *listeners) keep(ctx context.Context) {
	tick := time.NewTicker(reopenPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		for _, one := range l.open {
			if one.socket == nil && !l.closed {
				l.reopen(one) // until it succeeds; relisten has told why it does not
			}
		}
		l.mu.Unlock()
	}
}

// close lets no listener be opened any more. The server closes those that are open.
func (l *listeners) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// ready says whether all listeners take clients.
func (l *listeners) ready() error {
	all, open := l.all(), 0
	for _, one := range all {
		if one.serving.Load() > 0 {
			open++
		}
	}
	if open < len(all) {
		return fmt.Errorf("%d of %d are open", open, len(all))
	}
	return nil
}
