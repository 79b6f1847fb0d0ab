package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"portico/backend/backendtest/testkit"
)

// silentClients is the environment variable by which a test binary learns that it is to be nothing but many silent
// clients: "count address...". They are a process of their own because of the limit of descriptors.
const silentClients = "PORTICO_E2E_SILENT_CLIENTS"

// beSilent opens connections, says that it has, and holds them until its standard input ends.
func beSilent(task string) error {
	words := strings.Fields(task)
	count, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	addresses := words[1:]
	const dialers = 16
	errs := make(chan error, dialers)
	var work sync.WaitGroup
	for d := range dialers {
		work.Go(func() {
			for i := d; i < count; i += dialers {
				conn, err := net.Dial("tcp", addresses[i%len(addresses)])
				if err != nil {
					errs <- err
					return
				}
				defer func() { _ = conn }() // held, and never read
			}
			errs <- nil
			io.Copy(io.Discard, os.Stdin)
		})
	}
	for range dialers {
		if err := <-errs; err != nil {
			return err
		}
	}
	fmt.Println("connected")
	work.Wait()
	return nil
}

// startSilent starts a process of silent clients and returns, when all are connected, how to end it.
func startSilent(t *testing.T, count int, addresses ...string) (stop func()) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(testkit.Context(t), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", silentClients, count, strings.Join(addresses, " ")))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	stop = sync.OnceFunc(func() {
		in.Close()
		cmd.Wait()
	})
	t.Cleanup(stop)
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "connected\n" {
		t.Fatalf("silent clients: %q, %v", said, err)
	}
	return stop
}
