package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// proxyTwo is a header of version 2 with an IPv4 address, and what may stand behind it.
func proxyTwo(command byte, from, to string, more []byte) string {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n")
	b = append(b, 0x20|command, 0x11)
	b = binary.BigEndian.AppendUint16(b, uint16(12+len(more)))
	f, t := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	b = append(append(b, f.Addr().AsSlice()...), t.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, f.Port()), t.Port())
	return string(append(b, more...))
}

func loopbackTrusted(o *Options) {
	o.Settings.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// behindProxy starts a server that wants headers.
func behindProxy(t *testing.T, mode TLSMode, change func(*Options)) *harness {
	t.Helper()
	return startListener(t, Listener{Name: "test", TLS: mode, ProxyProtocol: true}, func(o *Options) {
		loopbackTrusted(o)
		if change != nil {
			change(o)
		}
	})
}

// The address of the header is the client's, for the relay, the mailbox server and the log; with TLS behind it and
// without.
func TestProxyHeader(t *testing.T) {
	for name, header := range map[string]string{
		"version 1":          "PROXY TCP4 192.0.2.7 192.0.2.8 5000 993\r\n",
		"version 2":          proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993", nil),
		"version 2 and more": proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993", []byte("\x04\x00\x05hello")),
		"version 2 and a certificate": proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993",
			append([]byte("\x20\x3f\x00"), make([]byte, 16<<10-15)...)),
		"version 1 in two parts": "PROXY TCP4 192.0.2.7 |192.0.2.8 5000 993\r\n",
	} {
		for mode, way := range map[TLSMode]string{TLSNone: "plain", TLSImplicit: "tls"} {
			t.Run(name+" "+way, func(t *testing.T) {
				h := behindProxy(t, mode, nil)
				p := h.dial()
				for part := range strings.SplitSeq(header, "|") {
					p.send(part)
				}
				if mode == TLSImplicit {
					p = newPeer(t, tls.Client(p.Conn, h.roots))
				}
				p.expect("* OK ")
				p.send("a LOGIN bob secret\r\n")
				p.expect("* OK ")
				p.expect("a OK ")
				relayed := h.relay.take(t).Owner.(*relayed)
				if got := relayed.remote.AddrPort().String(); got != "192.0.2.7:5000" {
					t.Errorf("the client is %s", got)
				}
				waitUntil(t, func() bool { return strings.Contains(h.log.String(), `"remote":"192.0.2.7:5000"`) })
			})
		}
	}
}

// A connection of the proxy's own keeps its address; one that only looks whether we are there is no error.
func TestProxyHeaderLocal(t *testing.T) {
	h := behindProxy(t, TLSNone, nil)
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	for _, header := range []string{
		proxyTwo(0, "192.0.2.7:5000", "192.0.2.8:993", nil), "PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN 2001:db8::1 what ever\r\n",
		signature + "\x21\x00\x00\x00", signature + "\x21\x00\x00\x08\x04\x00\x05hello",
		signature + "\x20\x00\x00\x00",
		signature + "\x21\x31\x00\xd8" + strings.Repeat("/", 216),
	} {
		p := h.dial()
		p.send(header)
		p.expect("* OK ")
		p.send("a LOGIN bob secret\r\n")
		p.expect("* OK ")
		if got := h.relay.take(t).Owner.(*relayed).remote.AddrPort().Addr().String(); got != "127.0.0.1" {
			t.Errorf("%q: the client is %s", header, got)
		}
	}
	h.dial().Close()
	waitUntil(t, func() bool { return h.ended(OutcomeClientGone) == 1 })
	if strings.Contains(h.log.String(), `"level":"warn"`) {
		t.Errorf("warned:\n%s", h.log)
	}
}

// What is no header is cut off; and never read from who is not trusted.
func TestBadProxyHeaders(t *testing.T) {
	h := behindProxy(t, TLSNone, nil)
	two := func(old, changed string) string {
		return strings.Replace(proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993", nil), old, changed, 1)
	}
	bad := map[string]string{ // and what the log says of it
		"a LOGIN bob secret\r\n":                               "it begins with",
		"a LO":                                                 "it begins with",
		"PROXY TCP4 192.0.2.7\r\n":                             "3 fields instead of 6",
		"PROXY TCP4 x y 1 2\r\n":                               "is not a valid TCP4 address",
		"PROXY TCP6 192.0.2.7 ::1 1 2\r\n":                     "is not a valid TCP6 address",
		"PROXY UDP4 x y 1 2\r\n":                               "its protocol is",
		"PROXY TCP4 192.0.2.7 192.0.2.8 5000 99999\r\n":        "is not a valid port",
		"PROXY TCP4 192.0.2.7 192.0.2.8 5000 993\n":            "does not end with CR LF",
		"PROXY TCP4 " + strings.Repeat("1", 200):               "its line exceeds 107 bytes",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00": "it begins with",
		"GET / HTTP/1.1\r\n":                                   "it begins with",
		proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993",
			make([]byte, 16<<10)): "it has 16396 bytes after the fixed part; the limit is 16384",
		two("\x21\x11\x00\x0c",
			"\x21\x11\x00\x0b"): "its addresses have 11 bytes instead of 12",
		two("\x21", "\x31"):         "its version is 3",
		two("\x21", "\x22"):         "its command is 2",
		two("\x21\x11", "\x21\x41"): "its address family is 4",
		two("\x21\x11",
			"\x21\x21"): "its addresses have 12 bytes instead of 36",
	}
	for text, said := range bad {
		p := h.dial()
		io.WriteString(p.Conn, text)
		if len(text) < proxyBegin {
			p.Conn.(*net.TCPConn).CloseWrite()
		}
		if got, err := io.ReadAll(p.in); len(got) > 0 && err == nil {
			t.Errorf("%.30q is answered %q", text, got)
		}
		p.Close()
		waitUntil(t, func() bool { return strings.Contains(h.log.String(), said) })
	}
	waitUntil(t, func() bool { return h.ended(OutcomeProxyHeader) == float64(len(bad)) })

	hurried := behindProxy(t, TLSNone, func(o *Options) { o.Settings.Timeouts.Handshake = 50 * time.Millisecond })
	hurried.dial() // says nothing
	waitUntil(t, func() bool { return hurried.ended(OutcomeTimeout) == 1 })

	stranger := startListener(t, Listener{Name: "test", ProxyProtocol: true}, nil)
	p := stranger.client()
	p.send("PROXY TCP4 192.0.2.7 192.0.2.8 5000 993\r\n")
	p.expect("PROXY BAD ")
}

// The limit of connections counts the address in the header.
func TestProxyHeaderAndLimits(t *testing.T) {
	for _, mode := range []TLSMode{TLSNone, TLSImplicit} {
		h := behindProxy(t, mode, func(o *Options) { o.Settings.Limits.ConnectionsPerAddress = 2 })
		connect := func(addr string) *peer {
			p := h.dial()
			p.send("PROXY TCP4 " + addr + " 192.0.2.8 5000 993\r\n")
			return p
		}
		greeted := func(addr string) {
			t.Helper()
			p := connect(addr)
			if mode == TLSImplicit {
				p = newPeer(t, tls.Client(p.Conn, h.roots))
			}
			p.expect("* OK ")
		}
		for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"} {
			greeted(addr)
		}
		p := connect("192.0.2.1")
		if mode == TLSNone {
			p.expect("* BYE [LIMIT] ")
		}
		if rest, _ := io.ReadAll(p.in); len(rest) > 0 {
			t.Errorf("and then %q", rest)
		}
		waitUntil(t, func() bool { return h.ended(OutcomeLimitAddress) == 1 })
		greeted("192.0.2.3")
	}
}

// A trusted client's ID tells who is behind it; a stranger's tells nothing.
func TestForwardedID(t *testing.T) {
	const id = `i ID ("name" "webmail" "x-originating-ip" "2001:db8::7" "x-originating-port" "5000" "X-Connected-IP" "192.0.2.8" "x-connected-port" "993" ` +
		`"x-session-id" "front-1" "x-proxy-ttl" "3" "x-other" NIL)` + "\r\n"
	for trusted, want := range map[bool]struct {
		remote, local, session string
		hops                   int
	}{
		true:  {"[2001:db8::7]:5000", "192.0.2.8:993", "front-1", 2},
		false: {"", "", "", 2},
	} {
		// by itself: no session may go on while the next one's descriptors are counted
		t.Run(fmt.Sprintf("trusted %v", trusted), func(t *testing.T) {
			h := start(t, TLSNone, func(o *Options) {
				if trusted {
					loopbackTrusted(o)
				}
			})
			asked := h.asks()
			p := h.client()
			p.send(id)
			p.expect("* ID ")
			p.expect("i OK ")
			p.send("a LOGIN bob secret\r\n")
			p.expect("* OK ")
			q := <-asked
			if !trusted {
				want.remote, want.local = p.LocalAddr().String(), p.RemoteAddr().String()
				if q.Client.SessionID == "front-1" {
					t.Error("a stranger's session id is taken")
				}
			} else {
				if q.Client.SessionID != want.session {
					t.Errorf("session id %q", q.Client.SessionID)
				}
				waitUntil(t, func() bool { return strings.Contains(h.log.String(), `"front_session":"front-1"`) })
			}
			if q.Client.Addr.String() != want.remote || q.Client.Local.String() != want.local ||
				q.Client.Hops != want.hops {
				t.Errorf("the server is told %+v", q.Client)
			}
		})
	}
}

// What cannot be read in an ID is passed over, and the client is who it was.
func TestOddIDs(t *testing.T) {
	h := start(t, TLSNone, loopbackTrusted)
	for _, id := range []string{
		`("x-originating-ip" "nowhere")`, `("x-originating-ip" "192.0.2.7" "x-originating-port" "99999")`,
		`("x-originating-ip" NIL)`, `("x-session-id" "a b")`,
		`("x-session-id" "` + strings.Repeat("x", 100) + `")`, `("x-proxy-ttl" "many")`, `("x-proxy-ttl" "-1")`,
		`("x-originating-ip")`, "NIL",
	} {
		asked := h.asks()
		p := h.client()
		p.send("i ID " + id + "\r\n")
		p.expect("* ID ")
		p.expect("i OK ")
		p.send("a LOGIN bob secret\r\n")
		p.expect("* OK ")
		if q := <-asked; q.Client.Addr.String() != p.LocalAddr().String() || q.Client.Hops != maxHops-1 ||
			len(q.Client.SessionID) != 16 {
			t.Errorf("%s: %+v", id, q.Client)
		}
	}
}

// A sign-in that has been passed on too often is a loop.
func TestLoop(t *testing.T) {
	h := start(t, TLSNone, nil)
	for _, hops := range []string{"0", "1"} {
		p := h.client()
		p.send(`i ID ("x-proxy-ttl" "` + hops + `")` + "\r\n")
		p.expect("* ID ")
		p.expect("i OK ")
		p.send("a LOGIN bob secret\r\n")
		p.expect("a NO [UNAVAILABLE] ")
	}
	if h.refused(OutcomeLoop) != 2 {
		t.Error("not counted")
	}
}

// FuzzProxyHeader: what is read is the header and not a byte more.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 192.0.2.8 5000 993\r\n\x16\x03\x01"))
	f.Add([]byte("PROXY UNKNOWN\r\na LOGIN bob secret"))
	f.Add([]byte(proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993", []byte("more")) + "behind"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(text)
		if _, err := readProxyHeader(r); err != nil {
			if o := outcomeOf(err); o != OutcomeProxyHeader && o != OutcomeClientGone {
				t.Fatal(err)
			}
			return
		}
		used := text[:len(text)-r.Len()]
		if _, err := readProxyHeader(bytes.NewReader(used)); err != nil {
			t.Fatalf("%q alone: %v", used, err)
		}
		if _, err := readProxyHeader(bytes.NewReader(used[:len(used)-1])); err == nil {
			t.Fatalf("%q: the last byte is none of the header", used)
		}
	})
}

// A header that the connection's end cuts off is no fault of the header.
func TestProxyHeaderIsCutOff(t *testing.T) {
	whole := proxyTwo(1, "192.0.2.7:5000", "192.0.2.8:993", nil)
	for _, text := range []string{"PROX", "PROXY TCP4 192.0", "PROXY TCP4 192.0.2.7 192.0.2.8 5000 993\r",
		whole[:proxyBegin], whole[:proxyFixed], whole[:len(whole)-1]} {
		_, err := readProxyHeader(strings.NewReader(text))
		if err == nil || errors.Is(err, OutcomeProxyHeader) ||
			!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
