package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// PortsTaken is the error for ports in use: for each port a sentence that says what to do.
type PortsTaken []string

// Error returns the sentences, one per line.
func (p PortsTaken) Error() string { return strings.Join(p, "\n") }

// pickPorts replaces ports of 0 by free ones, so that the file in the folder says what is, and looks whether the
// others are free. The error is PortsTaken if some are not.
func (o *Options) pickPorts(ctx context.Context) error {
	var taken PortsTaken
	flagOf := make(map[uint16]string)
	for _, port := range []struct {
		flag   string
		number *uint16
	}{{"imap-port", &o.IMAPPort}, {"imaps-port", &o.IMAPSPort}, {"http-port", &o.HTTPPort}} {
		if other := flagOf[*port.number]; other != "" && *port.number != 0 {
			return fmt.Errorf("--%s and --%s are both %d: give each its own port, or 0 for any free one", other,
				port.flag, *port.number)
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(*port.number)))
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			taken = append(taken,
				fmt.Sprintf("%s is in use by another program, perhaps another demo: stop that program, or set --%s "+
					"to another port, or 0 for any free one", address, port.flag))
			continue
		case err != nil:
			return fmt.Errorf("--%s %d: %w", port.flag, *port.number, err)
		}
		defer ln.Close() // after all are picked: no port is picked twice
		*port.number = uint16(ln.Addr().(*net.TCPAddr).Port)
		flagOf[*port.number] = port.flag
	}
	if len(taken) > 0 {
		return taken
	}
	return nil
}
