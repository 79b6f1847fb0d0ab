package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
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
	address net.Addr     // as opened
	serving atomic.Int32 // whether it takes clients
	socket  net.Listener // nil if it could not be opened again
}

// listenerChange is what another configuration needs to listen. It takes no clients yet.
type listenerChange struct {
	next []*openListener
	made []*openListener // those of next that are new
}

// abandon closes what was opened for a change that is not made.
func (c *listenerChange) abandon() {
	for _, l := range c.made {
		l.socket.Close()
	}
}

// prepare opens the listeners that another configuration has and this one lacks, or none. A listener with the same
// address and other options shares the socket, so that no client is refused meanwhile.
func (l *listeners) prepare(wanted []configs.Listener, previous *takeover) (*listenerChange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, address := range l.given.unused(wanted) {
		l.log.Warn().Str("address", address).Msg("the service manager has a socket open that is no listener's")
	}
	change, names := &listenerChange{}, make(listenerNames)
	for i, listener := range wanted {
		next := &openListener{Listener: listener, name: names.next(kindIMAP, listener.Address)}
		same := l.named(next.name)
		if same != nil && same.Listener == listener {
			change.next = append(change.next, same)
			continue
		}
		var err error
		if same != nil && same.socket != nil {
			next.socket, err = shared(same.socket)
		} else {
			next.socket, err = previous.listener(next.name, adoptTCP, func() (net.Listener, error) {
				return l.given.listen(listener.Address, wanted)
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
// for those whose socket it shares.
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
		l.log.Info().Stringer("address", one.address).Msg("listener closed")
		l.stop(one)
	}
	l.others = nil
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
	var all []configs.Listener
	for _, other := range l.open {
		all = append(all, other.Listener)
	}
	socket, err := l.given.listen(one.address.String(), all)
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

// listenTCP opens one of the listeners. Go sets no keep-alives: the relay does, in its own time. What is accepted
// inherits that small writes are not delayed.
func listenTCP(address string, all []configs.Listener) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: noDelay}
	return lc.Listen(context.Background(), networkOf(address, all), address)
}

// networkOf says which kinds of addresses to listen for. 0.0.0.0 is IPv4 alone, though Go would take it for both. [::]
// is both, unless 0.0.0.0 has the same port: then each takes its own.
func networkOf(address string, all []configs.Listener) string {
	host, port, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Is4():
		return "tcp4"
	case !ip.IsUnspecified():
		return "tcp6"
	}
	for _, other := range all {
		if other.Address == net.JoinHostPort("0.0.0.0", port) {
			return "tcp6"
		}
	}
	return "tcp"
}
