package e2e

import (
	"net/netip"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// Commands and answers are small: neither side of a session may wait for more bytes (Nagle's algorithm) once the relay
// has it.
func TestNoDelayInRelay(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			server := testkit.Scripted(t, nil, accepts)
			f := startFrontEnd(t,
				options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server.Addr()}}}})
			c := f.signIn(w, "ada")
			c.Command("a", "NOOP") // by the relay
			front, client := netip.MustParseAddrPort(w.address(f)), netip.MustParseAddrPort(c.NetConn().
				LocalAddr().String())
			mailbox := netip.MustParseAddrPort(server.Addr())
			checkNoDelay(t, "client",
				func(local, remote netip.AddrPort) bool { return local == front && remote == client })
			checkNoDelay(t, "mailbox server", func(_, remote netip.AddrPort) bool { return remote == mailbox })
			c.Command("b", "LOGOUT")
		})
	}
}

// checkNoDelay looks at the one TCP connection of this process that is wanted.
func checkNoDelay(t *testing.T, side string, wanted func(local, remote netip.AddrPort) bool) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	found := false
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		must(t, err)
		local, err := unix.Getsockname(fd)
		if err != nil {
			continue // no socket
		}
		remote, err := unix.Getpeername(fd)
		if err != nil || !wanted(addrPort(local), addrPort(remote)) {
			continue
		}
		found = true
		on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		must(t, err)
		if on != 1 {
			t.Errorf("%s: TCP_NODELAY is %d", side, on)
		}
	}
	if !found {
		t.Errorf("%s: connection not found", side)
	}
}

// addrPort returns the zero value for what is no IPv4 address.
func addrPort(a unix.Sockaddr) netip.AddrPort {
	if in, ok := a.(*unix.SockaddrInet4); ok {
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
	}
	return netip.AddrPort{}
}
