package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"portico/configs"
	"portico/proxy"
)

// listeners take clients: those of the configuration at the start, in its order. They live as long as the service. The
// methods are safe for concurrent use.
type listeners struct {
	log    zerolog.Logger
	wanted []configs.Listener
	group  *sync.WaitGroup // of the goroutines that take clients
	ended  func(error)     // called when one ends, with nil if it was closed

	addresses []net.Addr   // as opened: they do not change after listen
	serving   atomic.Int32 // those that take clients

	mu     sync.Mutex // guards what follows
	server *proxy.Server
	open   []net.Listener // nil where it could not be opened again
	closed bool           // none is opened any more
}

// listen opens all listeners, or none; those that another process has open, it shares with that one. They take nobody
// before serve.
func (l *listeners) listen(previous *takeover) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make(listenerNames)
	for i, listener := range l.wanted {
		ln, err := previous.listener(names.next(kindIMAP, listener.Address), adoptTCP, func() (net.Listener, error) {
			return listenTCP(listener.Address, l.wanted)
		})
		if err != nil {
			l.abandon()
			return fmt.Errorf("listeners[%d]: %w", i, err)
		}
		l.open, l.addresses = append(l.open, ln), append(l.addresses, ln.Addr())
	}
	return nil
}

// abandon closes listeners that have not served. The caller holds mu, or nobody else knows of them.
func (l *listeners) abandon() {
	for _, ln := range l.open {
		ln.Close()
	}
	l.open = nil
}

// serve lets clients in.
func (l *listeners) serve(server *proxy.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = server
	for i, ln := range l.open {
		l.take(i, ln)
	}
}

// take lets clients in by one listener.
func (l *listeners) take(i int, ln net.Listener) {
	listener := l.wanted[i]
	l.log.Info().Stringer("address", ln.Addr()).Str("tls", string(listener.TLS)).Msg("listening")
	l.serving.Add(1)
	l.group.Go(func() {
		defer l.serving.Add(-1)
		l.ended(l.server.Serve(ln, proxy.Listener{Name: listener.Address, TLS: listenerTLS[listener.TLS],
			ProxyProtocol: listener.ProxyProtocol}))
	})
}

// relisten closes all listeners and opens them again where they were. One that cannot be opened is left to keep.
// Clients that connect in between are refused.
func (l *listeners) relisten() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for i, ln := range l.open {
		if l.closed {
			return errStopping
		}
		if ln != nil {
			l.server.StopServing(ln)
		}
		if err := l.reopen(i); err != nil {
			errs = append(errs, fmt.Errorf("listeners[%d]: %w; will retry", i, err))
		}
	}
	return errors.Join(errs...)
}

// reopen opens one listener where it was. The caller holds mu.
func (l *listeners) reopen(i int) (err error) {
	if l.open[i], err = listenTCP(l.addresses[i].String(), l.wanted); err != nil {
		l.open[i] = nil
		return err
	}
	l.take(i, l.open[i])
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
		for i, ln := range l.open {
			if ln == nil && !l.closed {
				l.reopen(i) // until it succeeds; relisten has told why it does not
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
	if open := int(l.serving.Load()); open < len(l.wanted) {
		return fmt.Errorf("%d of %d are open", open, len(l.wanted))
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
