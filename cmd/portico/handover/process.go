package handover

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// variable is the environment variable that tells a process its descriptor of the connection.
const variable = "PORTICO_HANDOVER"

// Process is one that this process has started.
type Process struct {
	*Conn
	PID   int
	ended chan struct{} // closed when it has ended
	state error         // how; to be read once ended is closed
	kill  func() error
}

// Start starts a program with arguments. It inherits the standard streams, the environment and a connection; see
// FromParent.
func Start(program string, args ...string) (*Process, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(inherited(os.Environ()), variable+"="+strconv.Itoa(2+len(cmd.ExtraFiles)))
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	p := &Process{Conn: ours, PID: cmd.Process.Pid, ended: make(chan struct{}), kill: cmd.Process.Kill}
	go func() {
		p.state = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// inherited is an environment without what holds for this process alone.
func inherited(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{variable, "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}, name)
	})
}

// Kill ends the process at once, and returns when it has ended.
func (p *Process) Kill() {
	p.kill()
	<-p.ended
	p.Close()
}

// pair returns both ends of a connection; the second one is for another process.
func pair() (*Conn, *os.File, error) {
	syscall.ForkLock.RLock() // no other child may inherit them
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		syscall.ForkLock.RUnlock()
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	theirs := os.NewFile(uintptr(fds[1]), "handover")
	ours, err := connOf(os.NewFile(uintptr(fds[0]), "handover"))
	if err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// connOf makes a connection of a descriptor, which it owns.
func connOf(file *os.File) (*Conn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("%s: not a socket of this machine", file.Name())
	}
	return &Conn{unix: unix}, nil
}

// FromParent returns the connection to the process that has started this one by Start, or nil if none has. It may be
// called once.
func FromParent() (*Conn, error) {
	number, set := os.LookupEnv(variable)
	if !set {
		return nil, nil
	}
	os.Unsetenv(variable)
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q: not a descriptor", variable, number)
	}
	syscall.CloseOnExec(fd)
	return connOf(os.NewFile(uintptr(fd), variable))
}
