package node

import (
	"fmt"
	"syscall"

	"portico/configs"
)

// listenerNames name listeners for another process: by kind and configured address, and where an address is there more
// than once, such as with port 0, by its place among these.
type listenerNames map[string]int

func (n listenerNames) next(kind, address string) string {
	name := kind + " " + address
	n[name]++
	return fmt.Sprintf("%s %d", name, n[name])
}

const (
	kindIMAP   = "imap"
	kindIMAP6  = "imap6" // [::] for IPv6 alone, because another listener has IPv4; see networkOf
	kindHTTP   = "http"
	kindSocket = "socket"
	// kindActivated is that of a socket of the service manager, which keeps it open whatever is configured.
	kindActivated = "activated"
)

// imapNames names the listeners of a configuration, in its order.
func imapNames(wanted []configs.Listener) (all []string) {
	names := make(listenerNames)
	for _, one := range wanted {
		kind := kindIMAP
		if networkOf(one.Address, wanted) != networkOf(one.Address, nil) {
			kind = kindIMAP6
		}
		all = append(all, names.next(kind, one.Address))
	}
	return all
}

// openListeners lists all listeners of this process, with the names by which another one finds them.
func (s *service) openListeners() (names []string, files []syscall.Conn) {
	imap := &s.clients.listeners
	imap.mu.Lock()
	defer imap.mu.Unlock()
	naming := make(listenerNames)
	for address, file := range imap.given {
		names, files = append(names, naming.next(kindActivated, address)), append(files, file)
	}
	for _, listener := range imap.open {
		if file, ok := listener.socket.(syscall.Conn); ok && !imap.given.has(listener.address) {
			names, files = append(names, listener.name), append(files, file)
		}
	}
	for _, open := range s.api.open {
		if file, ok := open.Listener.(syscall.Conn); ok && !imap.given.has(open.Addr()) {
			names, files = append(names, open.name), append(files, file)
		}
	}
	return names, files
}
