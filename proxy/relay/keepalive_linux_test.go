package relay

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// The kernel asks silent peers whether they are still there, and gives a client more time to read than a server.
func TestTheKernelsTimeOuts(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			o := Options{KeepAlive: 70 * time.Second, StallTimeout: 5 * time.Minute, UserTimeout: 20 * time.Second,
				IdleTimeout: time.Second * 1600}
			tk := newRig(t, d, o, ways{}).start(tight)
			for _, peer := range []struct {
				*peer
				stalls time.Duration
			}{{tk.client, o.StallTimeout}, {tk.server, o.UserTimeout}} {
				fd := socketTo(t, peer.tcp.LocalAddr())
				option := func(level, name int) int {
					value, err := unix.GetsockoptInt(fd, level, name)
					if err != nil {
						t.Fatal(err)
					}
					return value
				}
				testkit.Eventually(t, "the time-outs are set",
					func() bool { return option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) != 0 })
				if got := option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != int(peer.stalls.Milliseconds()) {
					t.Errorf("%s: stalls for %d ms", peer.name, got)
				}
				if on, idle := option(unix.SOL_SOCKET, unix.SO_KEEPALIVE), option(unix.IPPROTO_TCP,
					unix.TCP_KEEPIDLE); on != 1 || idle != 70 {
					t.Errorf("%s: keep-alives %d after %d s", peer.name, on, idle)
				}
			}
		})
	}
}

// socketTo returns this process's socket that is connected to an address.
func socketTo(t *testing.T, addr net.Addr) int {
	t.Helper()
	fd := findSocketTo(t, addr)
	if fd < 0 {
		t.Fatalf("no socket is connected to %v", addr)
	}
	return fd
}

// findSocketTo is socketTo, and returns -1 if there is no such socket.
func findSocketTo(t *testing.T, addr net.Addr) int {
	t.Helper()
	want := addr.(*net.TCPAddr).AddrPort()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range open {
		fd, _ := strconv.Atoi(entry.Name())
		if name, err := unix.Getpeername(fd); err == nil {
			if in4, ok := name.(*unix.SockaddrInet4); ok &&
				netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)) == want {
				return fd
			}
		}
	}
	return -1
}
