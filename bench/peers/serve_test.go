//go:build unix

package peers

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// Each peer carries sessions in each way that it is measured in, and ends with all its processes.
func TestPeersCarrySessions(t *testing.T) {
	s, err := newSite(t.TempDir(), newSystem(os.Args[0], ""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range starters(program) {
		for _, serverTLS := range []bool{false, true} {
			if serverTLS && !st.serverTLS {
				continue
			}
			name := st.name
			if serverTLS {
				name += " with TLS to the server"
			}
			t.Run(name, func(t *testing.T) {
				if st.name != portico {
					testkit.Need(t, st.name)
				}
				p, err := st.start(s, serverTLS)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Stop()
				for _, config := range []*tls.Config{nil, s.client} {
					c, err := signIn(p.address(config != nil), config, "user1")
					if err != nil {
						t.Fatal(err)
					}
					defer c.conn.Close()
					for _, command := range []string{"a SELECT SIZE5120\r\n", "a UID FETCH 1 BODY.PEEK[]\r\n",
						"a NOOP\r\n"} {
						if err := c.do(command); err != nil {
							t.Errorf("%q: %v", command, err)
						}
					}
				}
				own, _ := p.pids()
				p.Stop()
				for _, pid := range own {
					if !gone(pid) {
						t.Errorf("process %d (%s) is left", pid, programName(pid))
					}
				}
			})
		}
	}
}

// gone waits until a killed process is no more, or only its parent's to bury.
func gone(pid int) bool {
	for range 500 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(text, []byte(") Z ")) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
