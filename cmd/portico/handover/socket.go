package handover

import (
	"context"
	"net"
)

// Listener waits for processes that look for this one in a folder.
type Listener struct{ unix *net.UnixListener }

// Listen opens a socket in the file system, whose folder says who may connect. Closing the listener removes it.
func Listen(path string) (*Listener, error) {
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	return &Listener{unix}, nil
}

// Accept waits for a process.
func (l *Listener) Accept() (*Conn, error) {
	conn, err := l.unix.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return &Conn{unix: conn}, nil
}

// Close ends Accept, and removes the socket.
func (l *Listener) Close() error { return l.unix.Close() }

// Dial connects to a process.
func Dial(ctx context.Context, path string) (*Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &Conn{unix: conn.(*net.UnixConn)}, nil
}
