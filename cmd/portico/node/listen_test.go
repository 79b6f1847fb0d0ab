package node

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"portico/configs"
)

func TestNetworkOf(t *testing.T) {
	both := []configs.Listener{{Address: "0.0.0.0:143"}, {Address: "[::]:143"}, {Address: "[::]:993"}}
	for address, want := range map[string]string{
		"0.0.0.0:143":            "tcp4",
		"127.0.0.1:143":          "tcp4",
		"[::]:143":               "tcp6",
		"[::]:993":               "tcp",
		"[::1]:143":              "tcp6",
		"[fe80::1%eth0]:143":     "tcp6",
		"[::ffff:127.0.0.1]:143": "tcp4",
		":143":                   "tcp6",
		":993":                   "tcp",
		"localhost:143":          "tcp",
	} {
		if got := networkOf(address, both); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// Both ways of "everywhere" on one port is what many write.
func TestListenOnBothKinds(t *testing.T) {
	for range 50 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(free.Addr().String())
		free.Close()
		all := []configs.Listener{{Address: "0.0.0.0:" + port}, {Address: "[::]:" + port}}
		first, err := listenTCP(networkOf(all[0].Address, all), all[0].Address, nil)
		if errors.Is(err, syscall.EADDRINUSE) { // on another address of this machine, or by another test meanwhile
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		second, err := listenTCP(networkOf(all[1].Address, all), all[1].Address, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		return
	}
	t.Fatal("no port is free on all addresses")
}
