package node

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"portico/cmd/portico/handover"
	"portico/cmd/portico/release"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/relay"
)

// retirement is what is left of a process that has handed over to another one, or is about to: its sessions, and a
// socket by which the other process counts and lists them, writes their rows of the protocol log and has some ended.
type retirement struct {
	s      *service
	socket string
	begun  chan struct{} // closed when the other process takes clients
	stop   chan struct{} // gets one: the other process stops
	ends   chan struct{} // closed when no session is left
	work   sync.WaitGroup
	// clusterBack registers this process again, when the other one has failed
	clusterBack func()

	// until is when the sessions that are left end; nil before the other process takes clients.
	until atomic.Pointer[time.Time]

	mu sync.Mutex // guards what follows
	// to those that follow this process: the present one, and while an upgrade is in progress, the next one. The last
	// one gets the rows of the protocol log.
	conns    []*handover.Conn
	listener *handover.Listener
	closed   bool
}

// openRetirement opens what the other process needs to find this one.
func openRetirement(s *service) (*retirement, error) {
	r := &retirement{s: s, socket: generationSocket(s.generations.folder, os.Getpid()), begun: make(chan struct{}),
		stop: make(chan struct{}, 1), ends: make(chan struct{})}
	os.Remove(r.socket) // of a process that had the number before
	if err := r.listen(); err != nil {
		return nil, err
	}
	return r, nil
}

// listen opens the socket.
func (r *retirement) listen() error {
	if err := os.MkdirAll(filepath.Dir(r.socket), 0o700); err != nil {
		return err
	}
	listener, err := handover.Listen(r.socket)
	if err != nil {
		return err
	}
	r.listener = listener
	r.work.Go(func() { r.accept(listener) })
	return nil
}

// keepSocket opens the socket again if somebody has removed it: another process that does not find it would take this
// one for ended, and so its sessions.
func (r *retirement) keepSocket() {
	if _, err := os.Lstat(r.socket); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener.Close()
	if err := r.listen(); err != nil {
		r.s.log.report("open the socket of this process again", err)
	}
}

// begin says that the other process takes clients, and how long this one keeps its sessions.
func (r *retirement) begin(drain time.Duration) {
	until := time.Now().Add(drain)
	r.until.Store(&until)
	close(r.begun)
}

// leave returns when this process has to end, and why.
func (r *retirement) leave(signals <-chan os.Signal) (why string) {
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		switch {
		case r.s.clients.server.Places().Connections == 0:
			return "no session is left"
		case !time.Now().Before(*r.until.Load()):
			return "the time to drain is over"
		}
		select {
		case <-tick.C:
			r.keepSocket()
		case <-r.stop:
			return "the node stops"
		case got := <-signals:
			if got != syscall.SIGHUP {
				return got.String()
			}
		}
	}
}

// close tells other processes that no session is left, ends their connections, and removes the socket.
func (r *retirement) close() {
	r.mu.Lock()
	r.listener.Close()
	r.closed = true
	for _, conn := range r.conns {
		conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
	r.mu.Unlock()
	close(r.ends)
	if r.until.Load() == nil {
		close(r.begun)
	}
	r.work.Wait()
}

// lastWords is how long another process may take to hear that this one ends.
const lastWords = time.Second

// accept takes connections of other processes.
func (r *retirement) accept(listener *handover.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		r.work.Go(func() { r.speak(conn) })
	}
}

// follow has a connection get the rows of the protocol log, until unfollow is called, or follow for another one.
func (r *retirement) follow(conn *handover.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conn)
	if r.closed {
		conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
	r.divert()
}

// unfollow ends follow: the connection before gets the rows again, if it is still there.
func (r *retirement) unfollow(conn *handover.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.conns[len(r.conns)-1] == conn
	r.conns = slices.DeleteFunc(r.conns, func(other *handover.Conn) bool { return other == conn })
	if last && len(r.conns) > 0 {
		r.divert()
	}
}

// divert gives the rows to the last connection. The caller holds mu.
func (r *retirement) divert() {
	conn := r.conns[len(r.conns)-1]
	r.s.protocol.Divert(func(rows protolog.Rows) error { return conn.Send(sayRows, rows) })
}

// lookTime is how often the present process is told which places sessions take. Every countBeats times it is told what
// is counted: for a site with 1,000 databases, that is half a megabyte.
const (
	lookTime   = time.Second
	countBeats = 5
)

// speak serves one connection until the other process ends it, or has ended.
func (r *retirement) speak(conn *handover.Conn) {
	ended := make(chan struct{})
	var hearing sync.WaitGroup
	defer hearing.Wait()
	defer conn.Close()
	if conn.Send(sayHello, helloMessage{PID: os.Getpid(), Version: release.Version(), Since: r.s.began}) != nil {
		return
	}
	told := r.s.clients.server.Places()
	if conn.Send(sayPlaces, told) != nil {
		return
	}
	r.follow(conn)
	defer r.unfollow(conn)
	hearing.Go(func() {
		defer close(ended)
		r.hear(conn)
	})
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for beat := 0; ; beat++ {
		places := r.s.clients.server.Places()
		change := places.Minus(told)
		told = places
		if change.Some() && conn.Send(sayPlaces, change) != nil {
			return
		}
		now := stateMessage{Sessions: places.Connections}
		if until := r.until.Load(); until != nil {
			now.Until = *until
		}
		// a loop that hangs keeps this from returning: then this process is silent
		stats := r.s.clients.server.OwnStats()
		if conn.Send(sayState, now) != nil {
			return
		}
		if beat%countBeats == 0 && conn.Send(sayCounts, countsMessage{stats, r.s.clients.waiting()}) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			return
		case <-r.ends:
			conn.Send(sayCounts, countsMessage{Stats: r.s.clients.server.OwnStats()})
			conn.Send(sayEnd, nil)
			return
		}
	}
}

// hear does what the present process asks for, until the connection ends.
func (r *retirement) hear(conn *handover.Conn) {
	var answers sync.WaitGroup
	defer answers.Wait()
	for {
		m, err := conn.Receive()
		if err != nil {
			return
		}
		m.CloseFiles()
		switch m.Kind {
		case sayLog:
			var log logMessage
			if m.Read(&log) == nil {
				r.s.protocol.Configure(log.Settings)
				r.s.protocol.SetRules(log.Rules)
			}
		case sayAsk:
			var q askMessage
			if m.Read(&q) == nil {
				answers.Go(func() {
					<-r.begun
					conn.Send(sayAnswer, answerMessage{q.Number, r.answer(q)})
				})
			}
		case sayStop:
			select {
			case r.stop <- struct{}{}:
			default:
			}
		}
	}
}

// answer answers a question. Before sessions of what moves end, sign-ins in progress do: nobody may come to where it
// was.
func (r *retirement) answer(q askMessage) json.RawMessage {
	server := r.s.clients.server
	var list any
	switch q.What {
	case askSessions:
		list = server.Sessions()
	case askSlow:
		list = server.Slow()
	case askKick:
		named := func(s proxy.Session) bool { return slices.Contains(q.Names, s.ID) }
		list = server.EndSessions(named, relay.ReasonKicked)
	case askEndDatabase, askEndUser, askEndAll:
		server.EndSetUps()
		r.end(q)
	}
	data, err := json.Marshal(list)
	if err != nil {
		r.s.log.report("answer to the present process", err)
	}
	return data
}

func (r *retirement) end(q askMessage) {
	switch {
	case q.What == askEndAll:
		r.s.clients.server.EndAll(0)
	case len(q.Names) == 1 && q.What == askEndDatabase:
		r.s.clients.endDatabase(q.Names[0])
	case len(q.Names) == 1:
		r.s.clients.endUser(q.Names[0])
	}
}
