package node

import (
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"

	"portico/configs"
)

// activated are listening sockets that the service manager has open, by their address (sd_listen_fds(3)). They stay
// open as long as this process lives: clients that come while it restarts wait in them.
type activated map[string]*os.File

// kindActivated is the kind of their names towards another process; see listenerNames.
const kindActivated = "activated"

// fromServiceManager returns the sockets that the service manager has given this process. It may be called once.
func fromServiceManager() (a activated, err error) {
	a = make(activated)
	for _, file := range activation.Files(true) {
		if err := a.add(file); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// add takes a socket, which a owns from here on.
func (a activated) add(file *os.File) error {
	ln, err := net.FileListener(file)
	if err != nil {
		file.Close()
		return err
	}
	defer ln.Close()
	a[ln.Addr().String()] = file
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return noDelay("", "", raw)
}

// listen returns a listener for a configured address: on one of these sockets, else one that it opens. A nil activated
// has none.
func (a activated) listen(address string, all []configs.Listener) (net.Listener, error) {
	if file := a[listensAt(address, all)]; file != nil {
		return net.FileListener(file)
	}
	return listenTCP(address, all)
}

// listensAt is the address that a listener has when it is open for a configured one, "" if that cannot be known.
func listensAt(address string, all []configs.Listener) string {
	network := networkOf(address, all)
	resolved, err := net.ResolveTCPAddr(network, address)
	switch {
	case err != nil:
		return ""
	case resolved.IP == nil && network == "tcp4":
		resolved.IP = net.IPv4zero
	case resolved.IP == nil:
		resolved.IP = net.IPv6unspecified
	}
	return resolved.String()
}

// unused are the addresses of sockets that belong to no listener of a configuration.
func (a activated) unused(wanted []configs.Listener) (addresses []string) {
	used := make(map[string]bool)
	for _, listener := range wanted {
		used[listensAt(listener.Address, wanted)] = true
	}
	for address := range a {
		if !used[address] {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
