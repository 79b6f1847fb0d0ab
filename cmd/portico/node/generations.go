package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"portico/cmd/portico/handover"
	"portico/health/admin"
	"portico/protolog"
	"portico/proxy"
)

// An earlier process that still carries sessions has a socket in the folder generations of data_dir, by which the
// present process reaches it: PID.sock. It removes the socket when it ends; what a killed one has left, the next start
// removes.
const (
	generationsFolder = "generations"
	socketSuffix      = ".sock"
)

// generationSocket is the socket of a process.
func generationSocket(dataDir string, pid int) string {
	return filepath.Join(dataDir, generationsFolder, strconv.Itoa(pid)+socketSuffix)
}

// The messages between the present process and an earlier one. hello and a first places come at once.
const (
	sayHello  = "hello"  // earlier to present: helloMessage
	sayPlaces = "places" // earlier to present: proxy.Places, the change since the last one
	sayRows   = "rows"   // earlier to present: protolog.Rows
	sayState  = "state"  // earlier to present: stateMessage, when it changes
	sayLog    = "log"    // present to earlier: logMessage
	sayAsk    = "ask"    // present to earlier: askMessage
	sayAnswer = "answer" // earlier to present: answerMessage
	sayStop   = "stop"   // present to earlier: end all sessions, as at a signal
)

// helloMessage is what an earlier process is.
type helloMessage struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
}

// stateMessage is what an earlier process still does.
type stateMessage struct {
	Sessions int       `json:"sessions"`
	Until    time.Time `json:"until"`
}

// logMessage is what an earlier process is to log.
type logMessage struct {
	Settings protolog.Settings `json:"settings"`
	Rules    []protolog.Rule   `json:"rules"`
}

// askMessage is a question about sessions. answerMessage is its answer.
type askMessage struct {
	Number int      `json:"number"`
	What   string   `json:"what"`
	Names  []string `json:"names,omitempty"` // of sessions, of a database or of a user
}

type answerMessage struct {
	Number int             `json:"number"`
	Data   json.RawMessage `json:"data"`
}

// What can be asked.
const (
	askSessions    = "sessions"     // []proxy.Session
	askSlow        = "slow"         // []proxy.SlowCommand
	askKick        = "kick"         // end sessions: those ended, []proxy.Session
	askEndDatabase = "end database" // because it moves: when none is left
	askEndUser     = "end user"     // because the user moves: when none is left
	askEndAll      = "end all"      // for maintenance: when none is left
)

// generations are the earlier processes of this node. It is safe for concurrent use.
type generations struct {
	folder   string
	log      *nodeLog
	server   *proxy.Server
	protocol *protolog.Log
	group    *sync.WaitGroup
	logs     func() logMessage // what this process logs now
	telling  sync.Mutex        // held while that is sent

	mu  sync.Mutex
	all []*generation // the latest first
}

// generation is an earlier process.
type generation struct {
	helloMessage
	conn *handover.Conn

	mu    sync.Mutex // guards what follows
	held  proxy.Places
	state stateMessage
	last  int // number of a question
	asked map[int]chan json.RawMessage
	gone  chan struct{} // closed when the process has ended
}

// helloTime bounds how long an earlier process may take to answer at the start.
const helloTime = 2 * time.Second

// adopt finds the earlier processes. Their connections count for limits when it returns.
func (g *generations) adopt(ctx context.Context) error {
	entries, err := os.ReadDir(g.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("earlier processes: %w", err)
	}
	for _, entry := range entries {
		name, ours := strings.CutSuffix(entry.Name(), socketSuffix)
		if pid, err := strconv.Atoi(name); !ours || err != nil || pid == os.Getpid() {
			continue
		}
		path := filepath.Join(g.folder, entry.Name())
		if err := g.meet(ctx, path); err != nil {
			g.log.Warn().Err(err).Str("process", name).Msg("an earlier process has ended")
			os.Remove(path)
		}
	}
	return nil
}

// meet connects to an earlier process, and begins to follow it.
func (g *generations) meet(ctx context.Context, path string) error {
	conn, err := handover.Dial(ctx, path)
	if err != nil {
		return err
	}
	of := &generation{conn: conn, asked: make(map[int]chan json.RawMessage), gone: make(chan struct{})}
	conn.SetDeadline(time.Now().Add(helloTime))
	m, err := conn.Await(sayHello)
	if err == nil {
		err = m.Read(&of.helloMessage)
	}
	if err == nil {
		m, err = conn.Await(sayPlaces)
	}
	if err == nil {
		err = g.took(of, m)
	}
	if err != nil {
		conn.Close()
		return err
	}
	conn.SetDeadline(time.Time{})
	of.send(sayLog, g.logs())
	g.mu.Lock()
	g.all = append(g.all, of)
	slices.SortFunc(g.all, func(a, b *generation) int { return b.Since.Compare(a.Since) })
	g.mu.Unlock()
	g.log.Info().Int("process", of.PID).Str("version", of.Version).Time("since", of.Since).
		Msg("an earlier process still carries sessions")
	g.group.Go(func() { g.follow(of) })
	return nil
}

// follow takes what an earlier process says, until it ends.
func (g *generations) follow(of *generation) {
	var err error
	for err == nil {
		var m handover.Message
		if m, err = of.conn.Receive(); err == nil {
			m.CloseFiles()
			err = g.took(of, m)
		}
	}
	of.conn.Close()
	g.mu.Lock()
	g.all = slices.DeleteFunc(g.all, func(other *generation) bool { return other == of })
	g.mu.Unlock()
	of.mu.Lock()
	held := of.held
	of.held = proxy.Places{}
	close(of.gone)
	of.mu.Unlock()
	g.server.Reserve(proxy.Places{}.Minus(held))
	event := g.log.Info()
	if !errors.Is(err, handover.ErrEnded) && !errors.Is(err, net.ErrClosed) {
		event = g.log.Warn().Err(err)
	}
	event.Int("process", of.PID).Msg("an earlier process has ended")
}

// took takes a message in.
func (g *generations) took(of *generation, m handover.Message) error {
	switch m.Kind {
	case sayPlaces:
		var change proxy.Places
		if err := m.Read(&change); err != nil {
			return err
		}
		of.mu.Lock()
		of.held = of.held.Plus(change)
		of.mu.Unlock()
		g.server.Reserve(change)
	case sayRows:
		var rows protolog.Rows
		if err := m.Read(&rows); err != nil {
			return err
		}
		g.protocol.Take(rows)
	case sayState:
		of.mu.Lock()
		defer of.mu.Unlock()
		return m.Read(&of.state)
	case sayAnswer:
		var answer answerMessage
		if err := m.Read(&answer); err != nil {
			return err
		}
		of.mu.Lock()
		defer of.mu.Unlock()
		if asked := of.asked[answer.Number]; asked != nil {
			asked <- answer.Data // has room for one
			delete(of.asked, answer.Number)
		}
	}
	return nil // what a newer version says besides
}

// sendTime bounds how long an earlier process may take to read a message.
const sendTime = 5 * time.Second

// send sends a message. A process that does not take it counts as gone.
func (of *generation) send(kind string, data any) {
	of.conn.SetWriteDeadline(time.Now().Add(sendTime))
	if err := of.conn.Send(kind, data); err != nil {
		of.conn.Close()
	}
}

// each calls f for all earlier processes at the same time, and returns when the last call has.
func (g *generations) each(f func(*generation)) {
	g.mu.Lock()
	all := slices.Clone(g.all)
	g.mu.Unlock()
	var work sync.WaitGroup
	for _, of := range all {
		work.Go(func() { f(of) })
	}
	work.Wait()
}

// ask asks an earlier process. It returns nil if that has ended, or ctx ends.
func (of *generation) ask(ctx context.Context, what string, names ...string) json.RawMessage {
	answer := make(chan json.RawMessage, 1)
	of.mu.Lock()
	of.last++
	number := of.last
	of.asked[number] = answer
	of.mu.Unlock()
	of.send(sayAsk, askMessage{number, what, names})
	select {
	case data := <-answer:
		return data
	case <-of.gone:
	case <-ctx.Done():
		of.mu.Lock()
		delete(of.asked, number)
		of.mu.Unlock()
	}
	return nil
}

// askAll asks all earlier processes and adds up their lists.
func askAll[Item any](ctx context.Context, g *generations, what string, names ...string) (all []Item) {
	var mu sync.Mutex
	g.each(func(of *generation) {
		var items []Item
		data := of.ask(ctx, what, names...)
		if err := json.Unmarshal(data, &items); err != nil && data != nil {
			g.log.report("answer of an earlier process", err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, items...)
	})
	return all
}

// do has all earlier processes do something, and returns when they have, or have ended.
func (g *generations) do(what string, names ...string) {
	g.each(func(of *generation) { of.ask(context.Background(), what, names...) })
}

// tellLog has all earlier processes log what this one does, after a change.
func (g *generations) tellLog() {
	g.telling.Lock() // the latest state is sent last
	defer g.telling.Unlock()
	g.each(func(of *generation) { of.send(sayLog, g.logs()) })
}

// stop has all earlier processes end, and returns when they have or ctx ends.
func (g *generations) stop(ctx context.Context) {
	g.each(func(of *generation) {
		of.send(sayStop, nil)
		select {
		case <-of.gone:
		case <-ctx.Done():
			of.conn.Close()
			<-of.gone
		}
	})
}

// leave ends the connections to all earlier processes, which go on by themselves until another process adopts them.
func (g *generations) leave() {
	g.each(func(of *generation) {
		of.conn.Close()
		<-of.gone
	})
}

// rows are the earlier processes as the API shows them.
func (g *generations) rows() (rows []admin.Generation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.all {
		of.mu.Lock()
		rows = append(rows, admin.Generation{PID: of.PID, Version: of.Version, Since: of.Since,
			Sessions: of.state.Sessions, Until: of.state.Until})
		of.mu.Unlock()
	}
	return rows
}
