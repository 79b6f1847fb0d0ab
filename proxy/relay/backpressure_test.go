package relay

import (
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// tight makes a session's buffers in the kernel small, so that little data fills them. Much smaller than that, and TCP
// over loopback, whose segments have 64 KiB, goes on only when a delayed acknowledgement comes.
func tight(s *Session) {
	for _, c := range []*Conn{s.Client.Conn, s.Upstream.Conn} {
		tcp := c.net.(*net.TCPConn)
		tcp.SetReadBuffer(256 << 10)
		tcp.SetWriteBuffer(256 << 10)
	}
}

// waitStalled waits until the relay has read something and then for a while nothing more: it waits for a peer now.
// Of goroutines it may be wrong. Then a test is less hard than it might be, but fails no more often.
func (r *rig) waitStalled() {
	r.t.Helper()
	var before uint64
	same := 0
	testkit.Eventually(r.t, "the relay waits", func() bool {
		s := r.server()
		sum := s.ClientBytes + s.ServerBytes
		if sum != before || sum == 0 {
			before, same = sum, 0
		} else {
			same++
		}
		return same > 4 && r.holdsBytes()
	})
}

// flow is a stream of pseudo-random bytes of which both ends know what it has to be.
type flow struct {
	size int
	seed uint64
}

func (f flow) reader() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(f.seed)}), int64(f.size))
}

func (f flow) sum() uint32 {
	h := crc32.NewIEEE()
	io.Copy(h, f.reader())
	return h.Sum32()
}

// sends writes the stream, from a goroutine of its own.
func (p *peer) sends(f flow) chan error {
	done := make(chan error, 1)
	p.SetWriteDeadline(time.Now().Add(3 * patience))
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{p.Conn}, f.reader(), make([]byte, 64<<10))
		done <- err
	}()
	return done
}

// gets checks that the stream comes next.
func (p *peer) gets(f flow) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(3 * patience))
	h := crc32.NewIEEE()
	if n, err := io.CopyN(h, p.in, int64(f.size)); err != nil {
		p.t.Errorf("%s gets %d of %d bytes: %v", p.name, n, f.size, err)
	} else if h.Sum32() != f.sum() {
		p.t.Errorf("%s gets other bytes than were sent", p.name)
	}
}

// arrives is gets, from a goroutine of its own.
func (p *peer) arrives(f flow) chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.gets(f)
	}()
	return done
}

func TestASlowClientLosesNothingAndHoldsNobodyUp(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		mail := flow{64 << 20, 1}
		if !r.isLoops() || r.ways.client != r.ways.server {
			mail.size = 8 << 20
		}
		tk, other := r.start(tight), r.start()
		tk.server.say("* 1 FETCH (BODY[] {" + strconv.Itoa(mail.size) + "}\n")
		sent := tk.server.sends(mail)
		r.waitStalled()
		r.checkBounded()
		for range 100 {
			other.client.say("a NOOP\n")
			other.server.hears("a NOOP\n")
			other.server.say("a OK\n")
			other.client.hears("a OK\n")
		}
		tk.client.hears("* 1 FETCH (BODY[] {" + strconv.Itoa(mail.size) + "}\n")
		tk.client.gets(mail)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		tk.server.say(")\na2 OK\n")
		tk.client.hears(")\na2 OK\n")
	})
}

func TestBothDirectionsFullAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		up, down := flow{6 << 20, 2}, flow{6 << 20, 3}
		tk := r.start(tight)
		upload, fetch := "a APPEND x {"+strconv.Itoa(up.size)+"+}\n", "* 1 FETCH (BODY[] {"+
			strconv.Itoa(down.size)+"}\n"
		tk.client.say(upload)
		tk.server.say(fetch)
		upSent, downSent := tk.client.sends(up), tk.server.sends(down)
		r.waitStalled()
		r.checkBounded()
		tk.server.hears(upload)
		tk.client.hears(fetch)
		upCame, downCame := tk.server.arrives(up), tk.client.arrives(down)
		<-upCame
		<-downCame
		if err := <-upSent; err != nil {
			t.Error(err)
		}
		if err := <-downSent; err != nil {
			t.Error(err)
		}
		tk.client.say("\n")
		tk.server.hears("\n")
		tk.server.say(")\na OK\n")
		tk.client.hears(")\na OK\n")
	})
}

// A server that answers as it reads must not be made to wait for a client that reads when it has sent all.
func TestAClientMaySendAllBeforeItReads(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		up, down := flow{4 << 20, 4}, flow{8 << 20, 5}
		tk := r.start(tight)
		upload, fetch := "a APPEND x {"+strconv.Itoa(up.size)+"+}\n", "* 1 FETCH (BODY[] {"+
			strconv.Itoa(down.size)+"}\n"
		tk.server.say(fetch)
		downSent := tk.server.sends(down)
		r.waitStalled()
		tk.client.say(upload)
		upSent := tk.client.sends(up)
		tk.server.hears(upload)
		tk.server.gets(up)
		if err := <-upSent; err != nil {
			t.Error(err)
		}
		tk.client.hears(fetch)
		tk.client.gets(down)
		if err := <-downSent; err != nil {
			t.Error(err)
		}
	})
}

// Our own answers are bounded too, where a client asks on and on and never reads.
func TestAClientThatNeverReadsOurAnswersIsStopped(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start(tight)
		asked := 40000
		done := make(chan error, 1)
		go func() { done <- tk.client.try(strings.Repeat("a COMPRESS X\r\n", asked)) }()
		r.waitStalled()
		r.checkBounded()
		tk.client.hears(strings.Repeat("a"+refusedCompress, asked))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
