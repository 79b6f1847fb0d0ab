package setup

import (
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// A listener that ends takes the connections that are there already: another process that has it too may not
// know of them.
func TestEndOfAListenerTakesWhatIsThere(t *testing.T) {
	testkit.NoLeaks(t)
	b := newBench(t)
	b.listeners = make(map[*threadListener]struct{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd, err := duplicate(ln.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var taken, want []string
	l := &threadListener{thread: b.thread, fd: fd, onEnd: func() {}, take: func(c Conn) {
		taken = append(taken, c.RemotePort().String())
		c.Close()
	}}
	l.begin()
	for range 5 {
		want = append(want, dial(t, ln.Addr().String()).LocalAddr().String())
	}
	l.end()
	if !slices.Equal(taken, want) {
		t.Errorf("took %v, want %v", taken, want)
	}
}
