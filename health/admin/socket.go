package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrAnswered says that another program serves the socket.
var ErrAnswered = errors.New("another program answers there")

// ListenUnix opens the Unix socket at path, which only the program's own user can open (mode 0600), and if group is
// not "" its members (mode 0660), for Serve. Its folder is made if it is missing, for the same. A socket that a
// program left behind is replaced; one that is answered, and any other kind of file, is not touched. Closing the
// listener removes the socket.
func ListenUnix(ctx context.Context, path, group string) (net.Listener, error) {
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := makeFolder(dir, gid); err != nil {
		return nil, err
	}
	if err := freeToTake(ctx, path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	// The socket gets its mode in a folder that nobody else can enter, and then its place: it is never there with
	// another mode.
	nest, err := os.MkdirTemp(dir, ".new")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(nest)
	born := filepath.Join(nest, "s")
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", born)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	socket := &socket{Listener: ln, path: path}
	if err := socket.moveTo(born, gid); err != nil {
		ln.Close()
		return nil, err
	}
	return socket, nil
}

// noGroup stands for no further group.
const noGroup = -1

func groupID(name string) (int, error) {
	if name == "" {
		return noGroup, nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(group.Gid)
}

// makeFolder makes the socket's folder. One that is there stays as it is.
func makeFolder(dir string, gid int) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return openTo(dir, 0o700, 0o750, gid)
}

// openTo gives a file one mode, or the group's other one.
func openTo(path string, alone, shared fs.FileMode, gid int) error {
	if gid == noGroup {
		return os.Chmod(path, alone)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("%w: only root and members of a group can give a file to it", err)
	}
	return os.Chmod(path, shared)
}

// freeToTake returns nil if there is nothing at path, or a socket that nobody answers.
func freeToTake(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("the path exists and is not a socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return ErrAnswered
	}
	if !refused(err) { // its owner may only be busy
		return fmt.Errorf("check whether another program answers: %w", err)
	}
	return nil
}

// socket is a Unix listener that was moved to its path.
type socket struct {
	net.Listener
	path string
	file fs.FileInfo
	keep atomic.Bool // closing leaves the socket
}

// Addr returns the path of the socket.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

func (s *socket) moveTo(from string, gid int) (err error) {
	if err := openTo(from, 0o600, 0o660, gid); err != nil {
		return err
	}
	if s.file, err = os.Lstat(from); err != nil {
		return err
	}
	return os.Rename(from, s.path)
}

// SyscallConn gives access to the descriptor, which another process may inherit; see AdoptUnix.
func (s *socket) SyscallConn() (syscall.RawConn, error) {
	return s.Listener.(*net.UnixListener).SyscallConn()
}

// AdoptUnix makes a listener for Serve of the descriptor of another process's ListenUnix for the same path. It owns
// the file. Closing the listener leaves the socket to the other process; see SetUnlinkOnClose.
func AdoptUnix(file *os.File, path string) (net.Listener, error) {
	defer file.Close()
	return adopt(file, path)
}

func adopt(file *os.File, path string) (*socket, error) {
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	unix, ok := ln.(*net.UnixListener)
	if !ok {
		ln.Close()
		return nil, fmt.Errorf("socket %s: another kind of listener was handed over", path)
	}
	unix.SetUnlinkOnClose(false)
	adopted := &socket{Listener: unix, path: path}
	adopted.keep.Store(true)
	if adopted.file, err = os.Lstat(path); err != nil {
		ln.Close()
		return nil, err
	}
	return adopted, nil
}

// ShareUnix makes a listener for Serve of the socket that another program, such as systemd, has opened at path. The
// file stays the caller's, and the socket that program's: nothing removes it. One that every user may open is refused,
// because only its mode guards it.
func ShareUnix(file *os.File, path string) (net.Listener, error) {
	shared, err := adopt(file, path)
	if err != nil {
		return nil, err
	}
	if mode := shared.file.Mode().Perm(); mode&0o002 != 0 {
		shared.Close()
		return nil, fmt.Errorf("socket %s: every user may open it (mode %04o): its unit needs SocketMode=0600", path,
			mode)
	}
	return struct{ net.Listener }{shared}, nil // without SetUnlinkOnClose
}

// SetUnlinkOnClose says whether closing the listener removes the socket.
func (s *socket) SetUnlinkOnClose(remove bool) { s.keep.Store(!remove) }

// Close stops listening and removes the socket, if it is still this one.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if info, statErr := os.Lstat(s.path); statErr == nil && !s.keep.Load() && os.SameFile(info, s.file) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}
