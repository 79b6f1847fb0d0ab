package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/fleet"
	"portico/proxy"
)

// Bounds of what one listener's clients may take.
const (
	maxHeader      = 16 << 10 // bytes
	maxConnections = 128
	// maxRemoteWatchers is less than the protocol log's limit of watchers: the rest is for the socket.
	maxRemoteWatchers = 16
	readTimeout       = 10 * time.Second
	writeTimeout      = time.Minute // a scrape may be large and its line thin
	idleTimeout       = 2 * time.Minute
)

// Options is what a Server is built from, once.
type Options struct {
	Gatherer   prometheus.Gatherer                     // what /metrics shows; required
	Registerer prometheus.Registerer                   // for the server's own metrics; nil: there are none
	Alive      func() error                            // what /livez asks; nil: it only answers
	Checks     []Check                                 // what /readyz asks, in this order
	API        API                                     // what the API shows and does
	Name       string                                  // of this node
	Node       func(name string) (http.Handler, error) // the way to another node; nil: there is none
	Others     func() []fleet.Node                     // all other nodes, by name; nil: there are none
	Console    http.Handler                            // the page at / and its files; nil: there is none
	Access     Access                                  // the first; see Server.Reload
	Log        zerolog.Logger                          // the zero value writes nothing

	events *events // set by New
}

// Server answers HTTP. Its methods are safe for concurrent use.
type Server struct {
	pages   http.Handler
	events  *events
	remote  *shares // of watchers over TCP
	log     zerolog.Logger
	metrics *metrics
	access  atomic.Pointer[Access]

	refusals proxy.LogLimiter[string] // changes that were refused, by caller and address

	mu        sync.Mutex
	endpoints []*endpoint
	closed    bool
}

// endpoint is a listener with its HTTP server.
type endpoint struct {
	server   *Server
	listener net.Listener
	http     *http.Server
	slots    *connSlots
	left     atomic.Bool   // another process accepts there
	served   chan struct{} // closed when nothing is accepted any more
	loopback bool          // only this machine reaches it
	socket   bool          // a Unix socket: the mode of its file guards it
	path     string        // of the socket
}

// New returns a Server. It opens nothing; see ListenTCP, ListenUnix and Serve.
func New(o Options) (*Server, error) {
	if o.Gatherer == nil {
		return nil, errors.New("admin: no metrics handler")
	}
	o.events = newEvents()
	s := &Server{pages: pages(o), events: o.events, log: o.Log, remote: newShares(maxRemoteWatchers),
		metrics: newMetrics(o.Registerer)}
	s.access.Store(&o.Access)
	return s, nil
}

// Reload puts another access in place for connections and requests from now on. On an error nothing has changed.
func (s *Server) Reload(a Access) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.endpoints {
		if err := a.allowed(d.loopback); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	s.access.Store(&a)
	return nil
}

// Serve answers on ln until Shutdown, and then returns nil. It owns ln. A listener of TCP beyond loopback is refused
// with ErrOpen if the access is not strict enough for it.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	d, err := s.open(ln)
	if d == nil {
		return err
	}
	err = d.http.Serve(&listener{ln, d})
	close(d.served)
	if errors.Is(err, http.ErrServerClosed) || d.left.Load() {
		return nil
	}
	return fmt.Errorf("admin: %s: %w", ln.Addr(), err)
}

// open makes the endpoint of a listener. After Shutdown it returns nil and no error.
func (s *Server) open(ln net.Listener) (*endpoint, error) {
	addr := ln.Addr()
	d := &endpoint{server: s, listener: ln, loopback: isLoopback(addr), socket: addr.Network() == "unix",
		path: addr.String(), slots: newConnSlots(maxConnections, s.metrics.displaced), served: make(chan struct{})}
	d.http = &http.Server{
		Handler:           d.guard(audited(s.log, d.watching(s.pages))),
		ConnContext:       withConn,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(complaints{s.log}, "", 0),

		DisableGeneralOptionsHandler: true, // it would answer before guard
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil
	}
	if err := s.access.Load().allowed(d.loopback); err != nil {
		return nil, fmt.Errorf("admin: %s: %w", addr, err)
	}
	s.endpoints = append(s.endpoints, d)
	return d, nil
}

// Shutdown closes the listeners and waits until every request is answered or ctx ends, when it cuts what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	endpoints := s.endpoints
	s.endpoints = nil
	s.mu.Unlock()
	s.events.end()
	var errs []error
	for _, d := range endpoints {
		errs = append(errs, d.shutdown(ctx))
	}
	return errors.Join(errs...)
}

// Leave closes a listener that another process has taken over, so that whoever connects once it has returned reaches
// that process. finish returns when all requests that have come here are answered; those that are not when its context
// ends are cut. Other listeners are answered as before.
func (s *Server) Leave(ln net.Listener) (finish func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.endpoints, func(d *endpoint) bool { return d.listener == ln })
	if i < 0 {
		ln.Close()
		return func(context.Context) error { return nil }
	}
	left := s.endpoints[i]
	s.endpoints = slices.Delete(s.endpoints, i, i+1)
	left.left.Store(true)
	ln.Close() // its error is that it is closed
	return left.finish
}

// finish answers what has come on a listener that is closed, each connection once more, and then shuts down. Shutdown
// alone would drop requests that it has not read yet.
func (d *endpoint) finish(ctx context.Context) error {
	d.http.SetKeepAlivesEnabled(false)
	select {
	case <-d.served:
		d.slots.wait(ctx)
	case <-ctx.Done():
	}
	return d.shutdown(ctx)
}

// shutdown closes the listener and waits until every request is answered or ctx ends, when it cuts what is left.
func (d *endpoint) shutdown(ctx context.Context) error {
	if err := d.http.Shutdown(ctx); err != nil {
		return errors.Join(err, d.http.Close())
	}
	return nil
}

// complaints takes the HTTP library's words about clients.
type complaints struct{ log zerolog.Logger }

func (c complaints) Write(p []byte) (int, error) {
	c.log.Debug().Str("complaint", string(p)).Msg("admin request")
	return len(p), nil
}
