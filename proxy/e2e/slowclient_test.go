package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// A client that asks for a lot and then does not read costs little memory, and gets all of it once it reads.
func TestSlowClient(t *testing.T) {
	for _, w := range []way{ways[0], ways[2]} {
		t.Run(w.name, func(t *testing.T) {
			compressing.need(t)
			user := compressing.user(t, 0)
			message := filler(3_000_000)
			must(t, compressing.server.AddMail(user, "", []byte(message)))
			f := startFrontEnd(t, options{servers: compressing.behind(backend.TLSNone)})
			conn, err := net.Dial("tcp", w.address(f))
			must(t, err)
			defer conn.Close()
			must(t, conn.(*net.TCPConn).SetReadBuffer(64<<10))
			if w.name == "tls" {
				conn = tls.Client(conn, f.trust)
			}
			conn.SetDeadline(time.Now().Add(2 * testkit.Patience))

			const times = 20
			asks := "l LOGIN " + user + " " + password + "\r\ns SELECT INBOX\r\n"
			for i := range times {
				asks += fmt.Sprintf("f%d FETCH 1 BODY.PEEK[]\r\n", i)
			}
			before := memory()
			_, err = io.WriteString(conn, asks+"z LOGOUT\r\n")
			must(t, err)
			waitForStall(t, f)
			if used := memory() - before; used > 4<<20 {
				t.Errorf("%d bytes of memory for a client that does not read", used)
			}
			if got := readMail(t, bufio.NewReader(conn), message); got != times {
				t.Errorf("%d messages of %d came", got, times)
			}
			if n := f.metric("portico_command_results_total", "command", "FETCH", "server", "mbx1", "result",
				"ok"); n != times {
				t.Errorf("%v counted", n)
			}
		})
	}
}

// waitForStall waits until the mailbox server is not read any more.
func waitForStall(t *testing.T, f *frontEnd) {
	t.Helper()
	last := 0.0
	testkit.Eventually(t, "the mailbox server is not read any more", func() bool {
		before := last
		last = f.metric("portico_relay_bytes_total")
		if before == last && last > 0 {
			return true
		}
		time.Sleep(200 * time.Millisecond) // nothing tells that something does not happen
		return false
	})
	if last > 30_000_000 {
		t.Errorf("%v bytes were read for a client that reads nothing", last)
	}
}

// readMail reads to the end and returns how often the message came, whole.
func readMail(t *testing.T, r *bufio.Reader, message string) (times int) {
	t.Helper()
	marker := fmt.Sprintf("{%d}\r\n", len(message))
	buf := make([]byte, len(message))
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return times
		}
		must(t, err)
		if !strings.HasSuffix(line, marker) {
			continue
		}
		_, err = io.ReadFull(r, buf)
		must(t, err)
		if string(buf) != message {
			t.Error("a message came changed")
		}
		times++
	}
}
