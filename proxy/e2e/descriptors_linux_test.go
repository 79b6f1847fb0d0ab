package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

// behindFew names the environment variable with the mailbox server's address, in the process that has few descriptors.
const behindFew = "PORTICO_TEST_BEHIND_FEW_DESCRIPTORS"

// Strangers who take every descriptor of the process give way to those who come, and good users sign in, though each
// takes one more.
func TestDescriptorsRunOut(t *testing.T) {
	if server := os.Getenv(behindFew); server != "" {
		serveWithFew(t, server)
		return
	}
	const signIns = 8
	server := testkit.Scripted(t, nil, repeat(accepts, signIns)...)
	testkit.NoLeaks(t)
	child := exec.Command(os.Args[0], "-test.run=^TestDescriptorsRunOut$", "-test.v")
	child.Env = append(os.Environ(), behindFew+"="+server.Addr())
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	child.Stderr = os.Stderr
	must(t, child.Start())
	said := bufio.NewReader(out)
	address := ""
	for address == "" {
		line, err := said.ReadString('\n')
		must(t, err)
		address, _ = strings.CutPrefix(strings.TrimSpace(line), "at ")
		if !strings.HasPrefix(line, "at ") {
			address = ""
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	for range 400 {
		strangers.Go(func() {
			for ctx.Err() == nil {
				staySilent(ctx, address, "127.0.0.3")
				pauseFor(ctx, 10*time.Millisecond)
			}
		})
	}
	for range signIns {
		conn, err := connectFrom(ctx, address, "127.0.0.2")
		must(t, err)
		c := testkit.NewConn(t, conn)
		c.Expect("* OK *")
		c.Command("a", "LOGIN ada "+password)
		c.Close()
	}
	stop()
	strangers.Wait()
	in.Close()
	rest, _ := io.ReadAll(said)
	if err := child.Wait(); err != nil || !strings.Contains(string(rest), "gave way") {
		t.Errorf("%v: %s", err, rest)
	}
}

// staySilent connects and says nothing until it is sent away.
func staySilent(ctx context.Context, address, source string) {
	conn, err := connectFrom(ctx, address, source)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	io.Copy(io.Discard, conn)
}

// serveWithFew is a front end in a process with few descriptors, until its input ends.
func serveWithFew(t *testing.T, server string) {
	f := startFrontEnd(t, options{
		servers:  []backend.ServerOptions{{Name: "mbx1", Addresses: []string{server}}},
		settings: proxy.Settings{Limits: proxy.Limits{Unauthenticated: 10_000, UnauthenticatedPerAddress: 1000}},
	})
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = 150
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	fmt.Println("at", f.plain)
	io.Copy(io.Discard, os.Stdin)
	if f.metric("portico_connections_total", "result", "gave_way_no_resources") > 0 {
		fmt.Println("gave way")
	}
}
