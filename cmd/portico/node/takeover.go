package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"portico/cmd/portico/datadir"
	"portico/cmd/portico/handover"
	"portico/cmd/portico/release"
	"portico/configs"
	"portico/configs/store"
	"portico/health"
	"portico/proxy"
)

// The messages of an upgrade, in their order. The running process sends the first and the third, the next one the
// others. Whoever gives up before the last one sends handover.Failed, or ends.
const (
	sayListeners = "listeners" // listenersMessage, with the descriptors
	sayLoaded    = "loaded"    // the configuration can be used
	sayYours     = "yours"     // carriedOver, with the lock of the store
	sayReady     = "ready"     // the next process takes clients
)

// listenersMessage names the listeners that come with it.
type listenersMessage struct {
	Version string   `json:"version"`
	DataDir string   `json:"data_dir"` // the store in it is handed over later
	Names   []string `json:"names"`
}

// carriedOver is what a process knows that the next one goes on with, beside the store.
type carriedOver struct {
	Tickets [][32]byte   `json:"tickets"`
	Memory  proxy.Memory `json:"memory"`
	// Earlier are the processes that carry sessions, beside the one that hands over.
	Earlier []earlierProcess `json:"earlier,omitempty"`
}

// takeover is a start in place of another process. It belongs to the goroutine that starts.
type takeover struct {
	from      *handover.Conn
	listeners map[string]*os.File // not taken yet
	given     activated
	lock      *os.File // of the store; nil once the store has it
	carriedOver
}

// beginTakeover returns a takeover if another process has started this one for that, else nil. It has read the
// configuration and found it good when the other process gives up the store.
func beginTakeover(file string) (*takeover, error) {
	conn, err := handover.FromParent()
	if conn == nil || err != nil {
		return nil, err
	}
	t := &takeover{from: conn, listeners: make(map[string]*os.File), given: make(activated)}
	if err := t.receive(file); err != nil {
		t.fail(err)
		return nil, err
	}
	return t, nil
}

func (t *takeover) receive(file string) error {
	m, err := t.from.Await(sayListeners)
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	var names listenersMessage
	if err := m.Read(&names); err != nil || len(names.Names) != len(m.Files) {
		m.CloseFiles()
		return errors.Join(err, errors.New("upgrade: names and listeners do not fit"))
	}
	for i, name := range names.Names {
		if strings.HasPrefix(name, kindActivated+" ") {
			err = errors.Join(err, t.given.add(m.Files[i]))
			continue
		}
		t.listeners[name] = m.Files[i]
	}
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	chosen, err := choose(file)
	if err == nil {
		err = checkLoaded(context.Background(), file, chosen.config).Err()
	}
	if err != nil {
		return err
	}
	if now := chosen.config.DataDir; now != names.DataDir {
		return fmt.Errorf("data_dir is %s, and was %s: only a restart takes another one", now, names.DataDir)
	}
	if err := t.from.Send(sayLoaded, release.Version()); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if m, err = t.from.Await(sayYours); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if len(m.Files) != 1 {
		m.CloseFiles()
		return errors.New("upgrade: the lock of the store is missing")
	}
	t.lock = m.Files[0]
	return m.Read(&t.carriedOver)
}

// fail tells the other process why this one gives up.
func (t *takeover) fail(why error) {
	t.from.Send(handover.Failed, why.Error())
	t.close()
}

// succeed tells the other process that this one takes clients.
func (t *takeover) succeed() error {
	err := t.from.Send(sayReady, nil)
	t.close()
	return err
}

// close closes what this process has not taken.
func (t *takeover) close() {
	for _, file := range t.listeners {
		file.Close()
	}
	clear(t.listeners)
	if t.lock != nil {
		t.lock.Close()
	}
	t.from.Close()
}

// listener returns the other process's listener of a name, made by adopt, which owns the descriptor. If there is none,
// it opens one.
func (t *takeover) listener(name string, adopt func(*os.File) (net.Listener, error),
	open func() (net.Listener, error)) (net.Listener, error) {
	if t == nil || t.listeners[name] == nil {
		return open()
	}
	file := t.listeners[name]
	delete(t.listeners, name)
	return adopt(file)
}

// leaving are the other process's sockets that a configuration does not ask for by these names. It closes them as soon
// as this one takes clients.
func (t *takeover) leaving(names []string) (all sockets) {
	if t == nil {
		return nil
	}
	for name, file := range t.listeners {
		if !slices.Contains(names, name) {
			all = append(all, file)
		}
	}
	return all
}

// adoptTCP makes a listener of a descriptor, which it owns.
func adoptTCP(file *os.File) (net.Listener, error) {
	defer file.Close()
	return net.FileListener(file)
}

// earlier are the earlier processes that the other process knows.
func (t *takeover) earlier() []earlierProcess {
	if t == nil {
		return nil
	}
	return t.Earlier
}

// openStore opens the store with the other process's lock.
func (t *takeover) openStore(config *configs.Config, file string) (*store.File, error) {
	if t == nil {
		return datadir.Open(config, file)
	}
	lock := t.lock
	t.lock = nil
	return datadir.OpenLocked(config, file, lock)
}

// proveTime bounds the proof that a process works before it takes clients in place of another one.
const proveTime = 10 * time.Second

// prove runs ImapProxyTestProbe over a listener of its own, which only this machine reaches: on those that clients use,
// the other process might answer.
func (s *service) prove(ctx context.Context) error {
	wanted := s.config.started.Listeners
	if len(wanted) == 0 {
		return nil
	}
	ln, err := listenTCP("tcp4", "127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		served <- s.clients.server.Serve(ln, proxy.Listener{Name: wanted[0].Address, TLS: listenerTLS[wanted[0].TLS]})
	}()
	private := func() []health.Listener {
		own := wanted[0]
		own.ProxyProtocol = false
		return []health.Listener{s.clients.ownListener(&openListener{Listener: own, address: ln.Addr()})}
	}
	front := health.Front{Back: s.monitoring.behind(), Listeners: private, Left: descriptorLeft}
	failed := health.Try(ctx, proveTime, front.ProxyTest(s.clients.admit))
	s.clients.server.StopServing(ln)
	if err := errors.Join(failed, <-served); err != nil {
		return fmt.Errorf("ImapProxyTestProbe: %w", err)
	}
	return nil
}
