package backendtest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports for servers that cannot take one that the kernel chooses. They lie below those that kernels choose for
// connections: of these, one that is free now may be a connection's a moment later, and a client that waits for the
// server to listen may even connect to itself.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// FreePorts returns n different TCP ports on which nobody listened on loopback a moment ago.
func FreePorts(n int) ([]string, error) {
	var ports []string
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		ln, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer ln.Close() // all stay open to the end, so that no port comes twice
		ports = append(ports, port)
	}
	return nil, errors.New("no free port found on loopback")
}
