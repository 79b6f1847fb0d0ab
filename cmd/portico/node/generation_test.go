//go:build unix

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/handover"
	"portico/health"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// fakeEarlier is the socket of an earlier process, and a process with its number that does nothing.
type fakeEarlier struct {
	t        *testing.T
	listener *handover.Listener
	process  *exec.Cmd
}

// serveBesideEarlier starts a service, and a fake earlier process that it has not adopted.
func serveBesideEarlier(t *testing.T) (*running, *fakeEarlier) {
	t.Helper()
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	f := &fakeEarlier{t: t, process: exec.Command("sleep", "1000")}
	if err := f.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.process.Process.Kill()
		f.process.Wait()
	})
	path := generationSocket(r.generations.folder, f.process.Process.Pid)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.listener, err = handover.Listen(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.listener.Close() })
	return r, f
}

// accept takes the next connection, and says what the process is, with a number of connections.
func (f *fakeEarlier) accept(connections int) *handover.Conn {
	f.t.Helper()
	conn, err := f.listener.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	conn.Send(sayHello, helloMessage{PID: f.process.Process.Pid, Version: "test", Since: time.Unix(1, 0)})
	conn.Send(sayPlaces, proxy.Places{Connections: connections})
	return conn
}

// await returns the next message of a kind.
func (f *fakeEarlier) await(conn *handover.Conn, kind string) handover.Message {
	f.t.Helper()
	for {
		m, err := conn.Receive()
		if err != nil {
			f.t.Fatalf("wait for %s: %v", kind, err)
		}
		if m.Kind == kind {
			return m
		}
	}
}

// relayed is how many signed-in connections count here.
func (r *running) relayed(t *testing.T) (n float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "portico_sessions" && m.GetLabel()[0].GetValue() == "relayed" {
				n = m.GetGauge().GetValue()
			}
		}
	}
	return n
}

// An earlier process whose connection breaks has not ended: its connections count on, and what it was asked, it is
// asked again. It has ended when its socket is closed.
func TestEarlierProcessThatLosesItsConnection(t *testing.T) {
	testkit.NoLeaks(t)
	r, f := serveBesideEarlier(t)
	go r.generations.adopt(t.Context(), nil)
	conn := f.accept(7)
	testkit.Eventually(t, "its connections count", func() bool { return r.relayed(t) == 7 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.generations.do(askEndDatabase, "db1")
	}()
	f.await(conn, sayAsk)
	conn.Close()
	conn = f.accept(5)
	var again askMessage
	if err := f.await(conn, sayAsk).Read(&again); err != nil || again.What != askEndDatabase {
		t.Fatalf("asked for %+v, %v", again, err)
	}
	select {
	case <-done:
		t.Fatal("the database counts as free while the process lives")
	default:
	}
	testkit.Eventually(t, "fewer connections count", func() bool { return r.relayed(t) == 5 })
	conn.Send(sayAnswer, answerMessage{again.Number, json.RawMessage("null")})
	<-done
	conn.Send(sayEnd, nil)
	f.listener.Close()
	conn.Close()
	testkit.Eventually(t, "it has ended", func() bool { return len(r.generations.rows()) == 0 })
	testkit.Eventually(t, "its connections are free", func() bool { return r.relayed(t) == 0 })
}

// What the sessions of an earlier process do counts here from when this process follows it, also once it has ended.
func TestCountsOfAnEarlierProcess(t *testing.T) {
	testkit.NoLeaks(t)
	r, f := serveBesideEarlier(t)
	go r.generations.adopt(t.Context(), nil)
	conn := f.accept(1)
	counted := func(noops int, queued int64) {
		counts := countsMessage{Stats: relay.NewStats(), Waits: waiting{"mbx9": {2, time.Minute}}}
		for range noops {
			counts.Stats.Server("mbx9").Observe(wire.VerbNoop, relay.ResultOK, 1e6)
		}
		counts.Stats.Server("mbx9").Queued = queued
		conn.Send(sayCounts, counts)
	}
	load := func() (of health.Load) {
		for _, l := range r.sessions.load() {
			if l.Server == "mbx9" {
				of = l
			}
		}
		return of
	}
	counted(10, 1)
	counted(13, 4)
	want := health.Load{Server: "mbx9", Finished: 3, Spent: 3 * time.Millisecond, Queued: 4, Open: 2, Age: time.Minute}
	testkit.Eventually(t, "what it counts", func() bool { return load() == want })
	conn.Send(sayEnd, nil)
	f.listener.Close()
	conn.Close()
	want = health.Load{Server: "mbx9", Finished: 3, Spent: 3 * time.Millisecond}
	testkit.Eventually(t, "what it has counted", func() bool { return load() == want })
}

// An earlier process hears that the node stops, though its connection breaks just then.
func TestStopAnEarlierProcessAgain(t *testing.T) {
	testkit.NoLeaks(t)
	r, f := serveBesideEarlier(t)
	go r.generations.adopt(t.Context(), nil)
	conn := f.accept(7)
	testkit.Eventually(t, "it is there", func() bool { return len(r.generations.rows()) == 1 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.generations.stop(t.Context())
	}()
	f.await(conn, sayStop)
	conn.Close() // before it has read that, say
	conn = f.accept(7)
	f.await(conn, sayStop)
	conn.Send(sayEnd, nil)
	f.listener.Close()
	conn.Close()
	<-stopped
}

// What an earlier process has sent when this one leaves it, is not lost.
func TestLeaveAnEarlierProcess(t *testing.T) {
	testkit.NoLeaks(t)
	r, f := serveBesideEarlier(t)
	go r.generations.adopt(t.Context(), nil)
	conn := f.accept(7)
	answers := make(chan int, 1)
	testkit.Eventually(t, "it is there", func() bool { return len(r.generations.rows()) == 1 })
	go func() {
		all, err := askAll[int](t.Context(), r.generations, askSlow)
		if err != nil {
			t.Error(err)
		}
		answers <- len(all)
	}()
	var asked askMessage
	if err := f.await(conn, sayAsk).Read(&asked); err != nil {
		t.Fatal(err)
	}
	go r.generations.leave()
	if _, err := conn.Receive(); !errors.Is(err, handover.ErrEnded) {
		t.Errorf("it hears %v", err)
	}
	conn.Send(sayAnswer, answerMessage{asked.Number, json.RawMessage("[1,2]")})
	conn.Close()
	if got := <-answers; got != 2 {
		t.Errorf("%d items of its last answer, want 2", got)
	}
}

// hangsIn is the environment variable by which this program becomes an earlier process with a socket in that folder,
// which says what it is and then nothing more.
const hangsIn = "EARLIER_HANGS_IN"

// hangAsEarlier does that.
func hangAsEarlier() {
	folder := os.Getenv(hangsIn)
	if folder == "" {
		return
	}
	listener, err := handover.Listen(generationSocket(folder, os.Getpid()))
	for err == nil {
		var conn *handover.Conn
		if conn, err = listener.Accept(); err == nil {
			conn.Send(sayHello, helloMessage{PID: os.Getpid(), Version: "test", Since: time.Unix(1, 0)})
			conn.Send(sayPlaces, proxy.Places{Connections: 7})
			defer conn.Close()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// An earlier process that is silent for too long is killed, even if it takes connections. Nothing moves before.
func TestEarlierProcessThatHangs(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	r := site.serve(t, site.write(t, ""))
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(r.generations.folder, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(self)
	process.Env = append(os.Environ(), hangsIn+"="+r.generations.folder)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer process.Process.Kill()
	testkit.Eventually(t, "it has its socket", func() bool {
		_, err := os.Stat(generationSocket(r.generations.folder, process.Process.Pid))
		return err == nil
	})
	r.generations.silence = 50 * time.Millisecond
	go r.generations.adopt(t.Context(), nil)
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		testkit.Eventually(t, "it is there", func() bool { return len(r.generations.rows()) == 1 })
		r.generations.do(askEndDatabase, "db1")
	}()
	process.Wait() // returns when it is killed
	<-moved
	testkit.Eventually(t, "it has ended", func() bool { return len(r.generations.rows()) == 0 })
}

// A process with the number of an earlier one, but not its socket, is another program: it is not killed.
func TestSocketOfAnotherProcess(t *testing.T) {
	testkit.NoLeaks(t)
	r, f := serveBesideEarlier(t)
	r.generations.silence = 50 * time.Millisecond
	go r.generations.adopt(t.Context(), nil)
	f.accept(7)
	testkit.Eventually(t, "it counts", func() bool { return len(r.generations.rows()) == 1 })
	testkit.Eventually(t, "it counts as ended", func() bool { return len(r.generations.rows()) == 0 })
	if err := f.process.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("another program: %v", err)
	}
	var state syscall.WaitStatus
	if pid, err := syscall.Wait4(f.process.Process.Pid, &state, syscall.WNOHANG, nil); pid != 0 {
		t.Errorf("another program has ended: %v, %v", state, err)
	}
}
