package setup

import (
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// The bound of what a connection may have received holds however it is dialled.
func TestDialBoundsWhatIsReceived(t *testing.T) {
	testkit.NoLeaks(t)
	const memory = 96 << 10 // of which every system gives half without privileges
	server := serve(t, 3, func(Turn, Conn) {})
	check := func(name string, conn net.Conn, err error) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		defer conn.Close()
		if got := receiveBuffer(t, conn); got != memory {
			t.Errorf("%s: SO_RCVBUF is %d, want %d", name, got, memory)
		}
	}
	dialer := Dialer{Dialer: &net.Dialer{}, ReceiveMemory: memory}
	sourced := dialer
	sourced.Source = netip.MustParseAddr("127.0.0.2")
	for name, d := range map[string]Dialer{"": dialer, ", from a source": sourced} {
		for kind, to := range map[string]string{"address": server,
			"name": strings.Replace(server, "127.0.0.1", "localhost", 1)} {
			done := make(chan struct{})
			dial(t, serve(t, 1, func(turn Turn, _ Conn) {
				defer close(done)
				conn, err := d.DialContext(With(t.Context(), turn), "tcp", to)
				check(kind+name, conn, err)
			}))
			<-done
		}
		conn, err := d.DialContext(t.Context(), "tcp", server)
		check("without a turn"+name, conn, err)
	}
}

func receiveBuffer(t *testing.T, conn net.Conn) (size int) {
	t.Helper()
	if c, ok := conn.(*threadConn); ok {
		size, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		return size
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { size, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	return size
}
