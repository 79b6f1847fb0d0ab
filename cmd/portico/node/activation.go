package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// activated are listening sockets that the service manager has open, by their address or path (sd_listen_fds(3)). They
// stay open as long as this process lives: clients that come while it restarts wait in them. A nil activated has none.
type activated map[string]*os.File

// fromServiceManager returns the sockets that the service manager has given this process. It may be called once.
func fromServiceManager() (a activated, err error) {
	a = make(activated)
	for _, file := range activation.Files(true) {
		err = errors.Join(err, a.add(file))
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// add takes a socket, which a owns from here on. Only one that accepts connections can be used.
func (a activated) add(file *os.File) (err error) {
	defer func() {
		if err != nil {
			file.Close()
			err = fmt.Errorf("socket %s of the service manager: %w", file.Name(), err)
		}
	}()
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if err := checkAccepts(raw); err != nil {
		return err
	}
	ln, err := net.FileListener(file)
	if err != nil {
		return err
	}
	defer ln.Close()
	address := ln.Addr().String()
	if a[address] != nil { // nobody would accept what the kernel gives to the second one
		return fmt.Errorf("another one has %s too", address)
	}
	if _, tcp := ln.(*net.TCPListener); tcp {
		if err := noDelay("", "", raw); err != nil {
			return err
		}
	}
	a[address] = file
	return nil
}

// has says whether an open listener has one of these sockets.
func (a activated) has(ln net.Addr) bool { return ln != nil && a[ln.String()] != nil }

// at returns the socket for a configured address, nil if there is none.
func (a activated) at(network, address string) *os.File {
	if len(a) == 0 {
		return nil
	}
	return a[listensAt(network, address)]
}

// listen returns a listener for a configured address: on one of these sockets, else one that it opens. See
// sockets.beside for leaving.
func (a activated) listen(network, address string, leaving sockets) (net.Listener, error) {
	if file := a.at(network, address); file != nil {
		return net.FileListener(file)
	}
	ln, err := listenTCP(network, address, leaving)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, a.blamed(err, network, address)
	}
	return ln, err
}

// blamed adds to the error of an address in use which of these sockets has it.
func (a activated) blamed(err error, network, address string) error {
	for held := range a {
		if overlap(held, listensAt(network, address)) {
			return fmt.Errorf("%w: the service manager has %s open; change its socket unit and restart Portico", err,
				held)
		}
	}
	return err
}

// listensAt is the address that a listener has when it is open for a configured one, "" if that cannot be known.
func listensAt(network, address string) string {
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

// unused are the addresses of sockets that no open listener has.
func (a activated) unused(open []net.Addr) (addresses []string) {
	for address := range a {
		if !slices.ContainsFunc(open, func(one net.Addr) bool { return one.String() == address }) {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	return addresses
}
