package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"portico/cmd/portico/handover"
	"portico/health/admin"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/relay"
)

// generation is an earlier process, as the present one sees it. Its connection may break while it lives, so it has
// ended only when nobody has its socket open any more. It is safe for concurrent use.
type generation struct {
	g       *generations
	path    string // of its socket
	pid     int
	process *os.Process
	ctx     context.Context // ends when this process leaves it
	cancel  context.CancelFunc
	gone    chan struct{} // closed when the process has ended, or was left

	mu    sync.Mutex // guards what follows
	hello helloMessage
	conn  *handover.Conn // nil while there is none
	held  proxy.Places
	state stateMessage
	base  *relay.Stats // as it was when this process first heard of it; nil before
	now   countsMessage
	met   bool      // it has answered
	owns  bool      // the socket is of this process, says the kernel
	heard time.Time // when its last heartbeat came, or this process has begun to wait for one
	ends  bool      // it has said that it carries no session any more, or was killed
	last  int       // number of a question
	asked map[int]question
}

// newGeneration returns one whose known connections count.
func newGeneration(g *generations, known earlierProcess) *generation {
	of := &generation{g: g, path: generationSocket(g.folder, known.PID), pid: known.PID, gone: make(chan struct{}),
		hello: known.Hello, held: known.Places, heard: time.Now(), asked: make(map[int]question)}
	// A handle on this very process: it is alive if it answers afterwards. This fails on no Unix.
	of.process, _ = os.FindProcess(known.PID)
	of.ctx, of.cancel = context.WithCancel(context.Background())
	g.server.Reserve(known.Places)
	return of
}

// Bounds of what is said to an earlier process.
const (
	helloTime = 2 * time.Second // for its first answer
	sendTime  = 5 * time.Second // for it to read a message
)

// hasEnded says whether the error of a connection means that the process has ended: nobody has the socket open. One
// that lives makes its socket again if somebody removes it.
func (of *generation) hasEnded(err error) bool {
	of.mu.Lock()
	defer of.mu.Unlock()
	return errors.Is(err, syscall.ECONNREFUSED) || of.ends && (errors.Is(err, fs.ErrNotExist) || !of.owns)
}

// connect connects to the process, takes in what it holds, and tells it what is to be logged and what it has not
// answered.
func (of *generation) connect(ctx context.Context) (*handover.Conn, error) {
	conn, err := handover.Dial(ctx, of.path)
	if err != nil {
		return nil, err
	}
	if conn.Peer() == of.pid {
		of.mu.Lock()
		of.owns = true
		of.mu.Unlock()
	}
	if err := of.greet(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (of *generation) greet(conn *handover.Conn) error {
	var hello helloMessage
	var places proxy.Places
	conn.SetDeadline(time.Now().Add(helloTime))
	for _, due := range []struct {
		kind string
		into any
	}{{sayHello, &hello}, {sayPlaces, &places}} {
		m, err := conn.Await(due.kind)
		if err == nil {
			m.CloseFiles()
			err = m.Read(due.into)
		}
		if err != nil {
			return err
		}
	}
	conn.SetDeadline(time.Time{})
	of.mu.Lock()
	if err := of.ctx.Err(); err != nil {
		of.mu.Unlock()
		return err
	}
	first := !of.met
	of.hello, of.conn, of.met = hello, conn, true
	change := places.Minus(of.held)
	of.held = places
	questions := make([]askMessage, 0, len(of.asked))
	for _, q := range of.asked {
		questions = append(questions, q.askMessage)
	}
	of.mu.Unlock()
	of.g.server.Reserve(change)
	of.send(sayLog, of.g.logs())
	for _, q := range questions {
		of.send(sayAsk, q)
	}
	if of.g.stopping.Load() { // it may not have heard that on the connection before
		of.send(sayStop, nil)
	}
	if first {
		of.g.log.Info().Int("process", of.pid).Str("version", hello.Version).Time("since", hello.Since).
			Msg("an earlier process still carries sessions")
	}
	return nil
}

// follow takes what the process says, until it has ended or leave is called. conn is nil if it has to be connected.
func (of *generation) follow(conn *handover.Conn) {
	for {
		if conn != nil {
			of.hear(conn)
		}
		if conn = of.again(); conn == nil {
			break
		}
	}
	of.mu.Lock()
	held := of.held
	of.held = proxy.Places{}
	of.mu.Unlock()
	close(of.gone)
	of.process.Release()
	of.g.server.Reserve(proxy.Places{}.Minus(held))
	if of.ctx.Err() == nil {
		of.g.log.Info().Int("process", of.pid).Msg("an earlier process has ended")
	}
}

// hear takes messages in until the connection ends, or no heartbeat has come for too long.
func (of *generation) hear(conn *handover.Conn) {
	of.extend(conn)
	var err error
	for err == nil {
		var m handover.Message
		if m, err = conn.Receive(); err == nil {
			m.CloseFiles()
			err = of.take(m)
		}
		if m.Kind == sayState {
			of.extend(conn)
		}
	}
	conn.Close()
	of.mu.Lock()
	of.conn = nil
	of.mu.Unlock()
	if !errors.Is(err, handover.ErrEnded) && of.ctx.Err() == nil {
		of.g.log.Warn().Err(err).Int("process", of.pid).Msg("lost the connection to an earlier process")
	}
}

// extend gives the process time for its next heartbeat, unless leave has limited it.
func (of *generation) extend(conn *handover.Conn) {
	of.mu.Lock()
	defer of.mu.Unlock()
	if of.ctx.Err() == nil {
		conn.SetReadDeadline(time.Now().Add(of.g.silence))
	}
}

// again connects again to a process that lives. It returns nil if the process has ended, or is left. A process that is
// silent for too long is killed, also if it takes connections: a loop of it may hang.
func (of *generation) again() *handover.Conn {
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	due := of.lastHeard().Add(2 * of.g.silence)
	for of.ctx.Err() == nil {
		if time.Now().After(due) {
			of.kill()
			due = time.Now().Add(of.g.silence)
		}
		conn, err := of.connect(of.ctx)
		if of.hasEnded(err) {
			if conn != nil {
				conn.Close()
			}
			os.Remove(of.path) // what a killed one leaves
			break
		}
		if err == nil {
			return conn
		}
		select {
		case <-tick.C:
		case <-of.ctx.Done():
		}
	}
	return nil
}

// kill ends a process that hangs. If the kernel has never named it as the owner of its socket, its number may be
// another program's by now: then it counts as ended.
func (of *generation) kill() {
	of.mu.Lock()
	defer of.mu.Unlock()
	if !of.owns {
		of.ends = true
		of.g.log.Error().Int("process", of.pid).
			Msg("an earlier process does not answer, and its socket is not its own: it counts as ended")
		return
	}
	of.g.log.Error().Int("process", of.pid).Msg("an earlier process does not answer: killed with its sessions")
	if err := of.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		of.g.log.report("kill an earlier process", err)
		return
	}
	of.ends = true
}

// take takes a message in.
func (of *generation) take(m handover.Message) error {
	switch m.Kind {
	case sayEnd:
		of.mu.Lock()
		defer of.mu.Unlock()
		of.ends = true
	case sayPlaces:
		var change proxy.Places
		if err := m.Read(&change); err != nil {
			return err
		}
		of.mu.Lock()
		of.held = of.held.Plus(change)
		of.mu.Unlock()
		of.g.server.Reserve(change)
	case sayRows:
		var rows protolog.Rows
		if err := m.Read(&rows); err != nil {
			return err
		}
		of.g.protocol.Take(rows)
	case sayCounts:
		var now countsMessage
		if err := m.Read(&now); err != nil || now.Stats == nil {
			return err
		}
		of.mu.Lock()
		if of.now = now; of.base == nil {
			of.base = now.Stats
		}
		of.mu.Unlock()
		of.g.count()
	case sayState:
		of.mu.Lock()
		defer of.mu.Unlock()
		of.heard = time.Now()
		return m.Read(&of.state)
	case sayAnswer:
		var answer answerMessage
		if err := m.Read(&answer); err != nil {
			return err
		}
		of.mu.Lock()
		defer of.mu.Unlock()
		if q, is := of.asked[answer.Number]; is {
			q.answer <- answer.Data
			delete(of.asked, answer.Number)
		}
	}
	return nil // what a newer version says besides
}

// send sends a message, if there is a connection. One that does not take it ends.
func (of *generation) send(kind string, data any) {
	of.mu.Lock()
	conn := of.conn
	of.mu.Unlock()
	if conn == nil {
		return
	}
	conn.SetWriteDeadline(time.Now().Add(sendTime))
	if err := conn.Send(kind, data); err != nil {
		conn.Close()
	}
}

// leave ends the connection to the process, once all has come that it has sent. It goes on by itself until another
// process adopts it.
func (of *generation) leave() {
	of.cancel()
	of.mu.Lock()
	if of.conn != nil {
		of.conn.SetReadDeadline(time.Now().Add(helloTime))
		of.conn.CloseWrite()
	}
	of.mu.Unlock()
	<-of.gone
}

// counted is what the process has counted since this one follows it. The caller owns it.
func (of *generation) counted() *relay.Stats {
	of.mu.Lock()
	defer of.mu.Unlock()
	if of.base == nil {
		return relay.NewStats()
	}
	return of.now.Stats.Since(of.base)
}

func (of *generation) waiting() waiting {
	of.mu.Lock()
	defer of.mu.Unlock()
	return of.now.Waits
}

func (of *generation) lastHeard() time.Time {
	of.mu.Lock()
	defer of.mu.Unlock()
	return of.heard
}

// started is when the process has started.
func (of *generation) started() time.Time {
	of.mu.Lock()
	defer of.mu.Unlock()
	return of.hello.Since
}

// quietTime is how long a process may be silent that says something every second, and is well.
const quietTime = 3 * lookTime

// row is the process as the API shows it.
func (of *generation) row() admin.Generation {
	of.mu.Lock()
	defer of.mu.Unlock()
	row := admin.Generation{PID: of.pid, Version: of.hello.Version, Since: of.hello.Since,
		Sessions: of.held.Connections, Until: of.state.Until}
	if silent := time.Since(of.heard); silent > quietTime {
		row.Silent = silent.Seconds()
	}
	return row
}

// silent says whether nobody need wait for an answer.
func (of *generation) silent() bool { return of.row().Silent > 0 }

// known is what the next process hears about this one.
func (of *generation) known() earlierProcess {
	of.mu.Lock()
	defer of.mu.Unlock()
	return earlierProcess{PID: of.pid, Hello: of.hello, Places: of.held}
}
