package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
	"portico/proxy/relay"
	"portico/proxy/setup"
)

// The kernel holds little for clients that ask for big messages, read for a while and then stop.
func TestKernelMemoryOfStalledFetches(t *testing.T) {
	const (
		sessions = 100
		size     = 16 << 20
		read     = 2 << 20 // before they stop: fast readers get large buffers where nothing bounds them
		received = 512 << 10
		// the largest, with the kernel's bookkeeping: older kernels look at the bound before they add one
		segment = 128 << 10
		// unsent is what the kernel takes of bytes that it cannot send: the relay's bound, what the loop writes at
		// once, and the kernel's bookkeeping. Nothing is in flight, since the clients' windows are closed.
		unsent = 3 << 19
	)
	sink := testkit.Serve(t, backendtest.NewSink(nil))
	f := startFrontEnd(t, options{
		servers:  []backend.ServerOptions{{Name: "mbx1", Addresses: []string{sink}}},
		settings: proxy.Settings{Limits: proxy.Limits{ConnectionsPerUser: sessions}},
		relay:    relay.Options{Loops: 1, StallTimeout: time.Hour}, // the kernel ends what stalls for longer
		backend: func(o *backend.Options) {
			o.Upstream = proxy.Upstream{Dialer: setup.Dialer{Dialer: &net.Dialer{}, ReceiveMemory: received}}
		},
	})
	for range sessions {
		conn, err := net.Dial("tcp", f.plain)
		must(t, err)
		defer conn.Close()
		// Or the client's kernel may take all of a message: it gives fast readers many megabytes.
		must(t, conn.(*net.TCPConn).SetReadBuffer(received))
		_, err = fmt.Fprintf(conn, "l LOGIN alice secret\r\ns SELECT SIZE%d\r\nf UID FETCH 1 BODY.PEEK[]\r\n", size)
		must(t, err)
		_, err = io.CopyN(io.Discard, bufio.NewReader(conn), read)
		must(t, err)
	}
	fromServer := sockets(unix.Getpeername, sink)
	toClient := sockets(unix.Getsockname, f.plain)
	if len(fromServer) != sessions || len(toClient) != sessions {
		t.Fatalf("%d sockets to the server and %d to clients", len(fromServer), len(toClient))
	}
	testkit.Eventually(t, "every answer stalls", func() bool { // the bounds hold before that too
		for _, fd := range fromServer {
			if memInfo(t, fd)[unix.SK_MEMINFO_RMEM_ALLOC] < received/8 {
				return false
			}
		}
		return true
	})
	var fromServers, toClients int
	for _, fd := range fromServer {
		fromServers += int(memInfo(t, fd)[unix.SK_MEMINFO_RMEM_ALLOC])
	}
	for _, fd := range toClient {
		toClients += int(memInfo(t, fd)[unix.SK_MEMINFO_WMEM_QUEUED])
	}
	t.Logf("%d KiB received and %d KiB unsent for each session", fromServers/sessions>>10, toClients/sessions>>10)
	if most := sessions * (received + segment); fromServers > most {
		t.Errorf("%d KiB received and not read, more than %d", fromServers>>10, most>>10)
	}
	if most := sessions * unsent; toClients > most {
		t.Errorf("%d KiB unsent, more than %d", toClients>>10, most>>10)
	}
}

// sockets returns this process's connections that have an address at one end.
func sockets(end func(fd int) (unix.Sockaddr, error), address string) (fds []int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		at, err := end(fd)
		if v4, ok := at.(*unix.SockaddrInet4); err != nil || !ok ||
			netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port)).String() != address {
			continue
		}
		if listens, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); listens == 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// memInfo returns the kernel's account of a socket's memory, in bytes.
func memInfo(t *testing.T, fd int) (bytes [unix.SK_MEMINFO_VARS]uint32) {
	t.Helper()
	size := uint32(unsafe.Sizeof(bytes))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&bytes)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return bytes
}
