package backendtest_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// eachSink runs a test against the event loop and against goroutines with TLS.
func eachSink(t *testing.T, test func(t *testing.T, dial func() *testkit.Conn)) {
	server, client := testkit.TLS(t)
	t.Run("plain", func(t *testing.T) {
		testkit.NoLeaks(t)
		addr := testkit.Serve(t, backendtest.NewSink(nil))
		test(t, func() *testkit.Conn { return testkit.Dial(t, addr, nil) })
	})
	t.Run("TLS", func(t *testing.T) {
		testkit.NoLeaks(t)
		addr := testkit.Serve(t, backendtest.NewSink(server))
		test(t, func() *testkit.Conn { return testkit.Dial(t, addr, client) })
	})
}

func TestSinkDialogue(t *testing.T) {
	const dialogue = `
		C: a LOGIN alice demo
		S: a OK [CAPABILITY *LITERAL+*] signed in
		C: b AUTHENTICATE PLAIN AGEAYg==
		S: b OK *
		C: c AUTHENTICATE PLAIN
		S: +*
		C: AGEAYg==
		S: c OK *
		C: d AUTHENTICATE PLAIN
		S: +*
		C: *
		S: d BAD *
		C: e LOGIN {5}
		S: + *
		C: alice {4+}
		C: demo
		S: e OK *
		C: f idle
		S: + *
		C: DONE
		S: f OK *
		C: g APPEND INBOX {12}
		S: + *
		C: a LOGOUT
		C: x
		S: g OK *
		C: h APPEND INBOX (\Seen) {4+}
		C: ab
		C:
		S: h OK *
		C: i UID FETCH 7:8 (FLAGS)
		S: * 7 FETCH (UID 7 FLAGS (\Seen))
		S: * 8 FETCH (UID 8 FLAGS (\Seen))
		S: i OK done
		C: j WHATEVER {x}
		S: j OK done
		C: nonsense
		S: * BAD *
		C: k LOGOUT
		S: * BYE*
		S: k OK *`
	eachSink(t, func(t *testing.T, dial func() *testkit.Conn) {
		c := dial()
		c.Expect("* OK [CAPABILITY IMAP4rev1 *")
		for line := range strings.SplitSeq(strings.TrimSpace(dialogue), "\n") {
			side, text, _ := strings.Cut(strings.TrimSpace(line), ":")
			text = strings.TrimPrefix(text, " ")
			if side == "C" {
				c.Send(text)
			} else {
				c.Expect(text)
			}
		}
		c.ExpectEOF()
	})
}

func TestSinkMessages(t *testing.T) {
	sizes := []int{1, 1024, 16 << 10, 16<<10 + 1, 1 << 20, 3<<20 + 5}
	eachSink(t, func(t *testing.T, dial func() *testkit.Conn) {
		c := dial()
		c.Expect("* OK *")
		for _, size := range sizes {
			// Pipelined, and not read before all is sent: larger answers must wait.
			c.SendRaw(fmt.Sprintf("s SELECT \"SIZE%d\"\r\nf UID FETCH 3:5 (BODY.PEEK[TEXT])\r\nn NOOP\r\n", size))
		}
		for _, size := range sizes {
			c.ReadUntilTagged("s")
			for n := 3; n <= 5; n++ {
				c.Expect(fmt.Sprintf("* %d FETCH (UID %d BODY[TEXT] {%d}", n, n, size))
				if !bytes.Equal(c.ReadN(size), backendtest.Filler(size)) {
					t.Fatalf("message %d of %d bytes is not the filler", n, size)
				}
				c.Expect(")")
			}
			c.Expect("f OK done")
			c.Expect("n OK done")
		}
	})
}

func TestSinkClient(t *testing.T) {
	testkit.NoLeaks(t)
	addr := testkit.Serve(t, backendtest.NewSink(nil))
	c, err := imapclient.DialInsecure(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("anybody", "anything").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("SIZE5120", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	section := &imap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(imap.UIDSetNum(9), &imap.FetchOptions{UID: true,
		BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil || len(messages) != 1 || len(messages[0].FindBodySection(section)) != 5120 {
		t.Errorf("fetch: %v, %v", messages, err)
	}
	body := backendtest.Filler(100_000)
	appended := c.Append("INBOX", int64(len(body)), nil)
	if _, err := appended.Write(body); err != nil {
		t.Error(err)
	}
	if err := appended.Close(); err != nil {
		t.Error(err)
	}
	if _, err := appended.Wait(); err != nil {
		t.Error(err)
	}
}

// Commands cut anywhere get the same answers.
func TestSinkBytewise(t *testing.T) {
	testkit.NoLeaks(t)
	addr := testkit.Serve(t, backendtest.NewSink(nil))
	c := testkit.Dial(t, addr, nil)
	c.Expect("* OK *")
	for _, b := range []byte("a LOGIN {5+}\r\nalice demo\r\nb FETCH 1 BODY[]\r\n") {
		c.SendRaw(string(b))
	}
	c.Expect("a OK *")
	c.Expect("* 1 FETCH (UID 1 BODY[] {1024}")
	c.ReadN(1024)
	c.Expect(")")
	c.Expect("b OK *")
}

func TestSinkHalfClose(t *testing.T) {
	testkit.NoLeaks(t)
	addr := testkit.Serve(t, backendtest.NewSink(nil))
	c := testkit.Dial(t, addr, nil)
	c.Expect("* OK *")
	c.SendRaw("a SELECT SIZE4000000\r\nb FETCH 1 BODY[]\r\nc NOOP\r\n")
	c.NetConn().(*net.TCPConn).CloseWrite()
	c.ReadUntilTagged("a")
	c.Expect("* 1 FETCH *")
	c.ReadN(4_000_000)
	c.Expect(")")
	c.Expect("b OK *")
	c.Expect("c OK *")
	c.ExpectEOF()
}

func TestSinkNoAllocations(t *testing.T) {
	addr := testkit.Serve(t, backendtest.NewSink(nil))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 256<<10)
	exchange := func(command []byte, end string) {
		if _, err := conn.Write(command); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(end) || string(answer[n-len(end):n]) != end; {
			got, err := conn.Read(answer[n:])
			if err != nil && err != io.EOF || got == 0 {
				t.Fatal(n, err)
			}
			n += got
		}
	}
	exchange([]byte("a SELECT SIZE65536\r\n"), "a OK [READ-WRITE] done\r\n")
	noop, fetch := []byte("b NOOP\r\n"), []byte("c UID FETCH 1 (BODY.PEEK[])\r\n")
	for name, run := range map[string]func(){
		"NOOP":  func() { exchange(noop, "b OK done\r\n") },
		"FETCH": func() { exchange(fetch, "c OK done\r\n") },
	} {
		if n := testing.AllocsPerRun(200, run); n > 0 {
			t.Errorf("%s: %v allocations per command", name, n)
		}
	}
}

func TestSinkHoldsManyIdle(t *testing.T) {
	testkit.NoLeaks(t)
	const many = 2000 // two descriptors each, in one process
	addr := testkit.Serve(t, backendtest.NewSink(nil))
	conns := make([]net.Conn, many)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(i, err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	for _, i := range []int{0, many / 2, many - 1} {
		c := testkit.NewConn(t, conns[i])
		c.Expect("* OK *")
		c.Command("a", "NOOP")
	}
}
