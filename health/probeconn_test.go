package health

import (
	"io"
	"net"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Whether a server refused in its greeting or was lost shows, however late the probe looks at what the library has
// read.
func TestGreetingAfterTheEnd(t *testing.T) {
	testkit.NoLeaks(t)
	for greeting, want := range map[string]string{
		"* BYE full\r\n":            "imap: BYE full",
		"* bye [ALERT] go away\r\n": "imap: BYE (ALERT) go away",
		"":                          "connection closed before greeting",
	} {
		for range 32 { // the library chooses at random
			server, conn := net.Pipe()
			o := newProbeConn(t.Context(), conn, "")
			var run Run
			client, end := o.client(&run)
			io.WriteString(server, greeting)
			server.Close()
			<-client.Closed()
			if err := o.awaitGreeting(client); err == nil || err.Error() != want {
				t.Fatalf("%q: %v, want %s", greeting, err, want)
			}
			end()
		}
	}
}
