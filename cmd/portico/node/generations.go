package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/relay"
)

// An earlier process that still carries sessions has a socket in the folder generations of data_dir, by which the
// present process reaches it: PID.sock. It removes the socket when it ends; what a killed one has left, the next start
// removes.
const (
	generationsFolder = "generations"
	socketSuffix      = ".sock"
)

// generationSocket is the socket of a process in the folder of generations.
func generationSocket(folder string, pid int) string {
	return filepath.Join(folder, strconv.Itoa(pid)+socketSuffix)
}

// The messages between the present process and an earlier one. hello and a first places come at once.
const (
	sayHello  = "hello"  // earlier to present: helloMessage
	sayPlaces = "places" // earlier to present: proxy.Places, the change since the last one
	sayRows   = "rows"   // earlier to present: protolog.Rows
	sayState  = "state"  // earlier to present: stateMessage, every second
	sayCounts = "counts" // earlier to present: countsMessage, every few seconds and when it ends
	sayLog    = "log"    // present to earlier: logMessage
	sayAsk    = "ask"    // present to earlier: askMessage
	sayAnswer = "answer" // earlier to present: answerMessage
	sayStop   = "stop"   // present to earlier: end all sessions, as at a signal
	sayEnd    = "end"    // earlier to present: no session is left, the process ends
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

// countsMessage is what an earlier process has counted of its own sessions since it was started.
type countsMessage struct {
	Stats *relay.Stats `json:"stats"`
	Waits waiting      `json:"waits"`
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
	silence  time.Duration // after how long without a word an earlier process is killed
	log      *nodeLog
	server   *proxy.Server
	protocol *protolog.Log
	group    *sync.WaitGroup
	logs     func() logMessage // what this process logs now
	telling  sync.Mutex        // held while that is sent
	stopping atomic.Bool       // the node stops: all are to end

	mu    sync.Mutex
	all   []*generation // the latest first
	ended *relay.Stats  // what those have counted that have ended
}

// silenceTime is how long an earlier process may be silent, which says something every second. One that hangs serves
// nobody, and nothing can move while it may go on.
const silenceTime = 30 * time.Second

// earlierProcess is what the process before this one knew of an earlier process.
type earlierProcess struct {
	PID    int          `json:"pid"`
	Hello  helloMessage `json:"hello"`
	Places proxy.Places `json:"places"`
}

// adopt finds the earlier processes: those that the process before knew, and those whose sockets are there. Their
// connections count for limits when it returns. Of a process that does not answer yet, those count that were known.
func (g *generations) adopt(ctx context.Context, known []earlierProcess) error {
	entries, err := os.ReadDir(g.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("earlier processes: %w", err)
	}
	for _, entry := range entries {
		name, ours := strings.CutSuffix(entry.Name(), socketSuffix)
		pid, err := strconv.Atoi(name)
		if ours && err == nil && pid != os.Getpid() &&
			!slices.ContainsFunc(known, func(p earlierProcess) bool { return p.PID == pid }) {
			known = append(known, earlierProcess{PID: pid})
		}
	}
	for _, process := range known {
		g.meet(ctx, process)
	}
	return nil
}

// meet begins to follow an earlier process, if it lives.
func (g *generations) meet(ctx context.Context, known earlierProcess) {
	of := newGeneration(g, known)
	conn, err := of.connect(ctx)
	if of.hasEnded(err) {
		g.log.Warn().Int("process", of.pid).Msg("an earlier process has ended")
		g.server.Reserve(proxy.Places{}.Minus(known.Places))
		os.Remove(of.path)
		of.process.Release()
		return
	}
	if err != nil {
		g.log.Warn().Err(err).Int("process", of.pid).Msg("an earlier process does not answer yet")
	}
	g.mu.Lock()
	g.all = append(g.all, of)
	slices.SortFunc(g.all, func(a, b *generation) int { return b.started().Compare(a.started()) })
	g.mu.Unlock()
	g.group.Go(func() {
		of.follow(conn)
		last := of.counted()
		last.ForgetOpen()
		g.mu.Lock()
		g.ended.Add(last)
		g.all = slices.DeleteFunc(g.all, func(other *generation) bool { return other == of })
		g.mu.Unlock()
		g.count()
	})
}

// count has the server count what earlier processes have counted since this one follows them.
func (g *generations) count() {
	g.mu.Lock()
	defer g.mu.Unlock()
	total := g.ended.Clone()
	for _, of := range g.all {
		total.Add(of.counted())
	}
	g.server.CountEarlier(total)
}

// waiting is what waits in each earlier process.
func (g *generations) waiting() (all []waiting) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.all {
		all = append(all, of.waiting())
	}
	return all
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

// askAll asks all earlier processes and adds up their lists. The error names those that do not answer before ctx ends.
func askAll[Item any](ctx context.Context, g *generations, what string, names ...string) (all []Item, err error) {
	var mu sync.Mutex
	g.each(func(of *generation) {
		var items []Item
		var data json.RawMessage
		failed := errSilent
		if !of.silent() {
			data, failed = of.ask(ctx, what, names...)
		}
		if data != nil {
			failed = json.Unmarshal(data, &items)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, items...)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("process %d, with %s: %w", of.pid,
				table.Counted(of.known().Places.Connections, "session"), failed))
		}
	})
	return all, err
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
	g.stopping.Store(true)
	g.each(func(of *generation) {
		of.send(sayStop, nil)
		select {
		case <-of.gone:
		case <-ctx.Done():
			of.leave()
		}
	})
}

// leave ends the connections to all earlier processes, which go on by themselves until another process adopts them.
func (g *generations) leave() {
	g.each((*generation).leave)
}

// known are the earlier processes for the next one.
func (g *generations) known() (all []earlierProcess) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.all {
		all = append(all, of.known())
	}
	return all
}

// rows are the earlier processes as the API shows them.
func (g *generations) rows() (rows []admin.Generation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.all {
		rows = append(rows, of.row())
	}
	return rows
}
