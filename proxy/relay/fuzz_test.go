package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"portico/proxy/wire"
)

// FuzzSession lets client and server say anything, cut anywhere and mixed in any order. What comes out has to be what
// went in, but for the interceptions; and the session must neither panic nor forget to free what it counted. A watched
// session behaves the same.
func FuzzSession(f *testing.F) {
	f.Fuzz(func(t *testing.T, client, server string, cuts []byte, offers uint8) {
		lacks := wire.Extensions(0)
		if offers >= 128 {
			lacks = wire.LiteralPlus
		}
		if len(client)+len(server) > 20<<10 {
			return
		}
		for _, watched := range []bool{false, true} {
			d := newBareSession(Offers(offers % 3))
			d.extensions &^= lacks
			if watched {
				d.observe(silent{})
			}
			d.hearBoth(client, server, cuts)
			checkSession(t, d, client, server)
		}
	})
}

// hearBoth says what client and server say, cut and mixed as cuts tell.
func (d *bareSession) hearBoth(client, server string, cuts []byte) {
	for i := 0; len(client)+len(server) > 0; i++ {
		from, text := clientSays, &client
		n := 1 << 10
		if len(cuts) > 0 {
			cut := cuts[i%len(cuts)]
			n = 1 + int(cut>>1)
			if cut&1 == 1 {
				from, text = serverSays, &server
			}
		}
		if *text == "" {
			from, text = otherSide(from, &client, &server)
		}
		n = min(n, len(*text))
		d.now++
		d.say(from, (*text)[:n])
		*text = (*text)[n:]
	}
}

func otherSide(from who, client, server *string) (who, *string) {
	if from == clientSays {
		return serverSays, server
	}
	return clientSays, client
}

// checkSession checks what came out of a session into which client and server went.
func checkSession(t *testing.T, d *bareSession, client, server string) {
	toServer, toClient := d.server.Bytes(), d.client.Bytes()
	lists := bytes.Contains(bytes.ToUpper([]byte(server)), []byte("CAPABILITY"))
	rewritten := strings.Contains(client, "+}") &&
		(lists || d.extensions&wire.LiteralPlus == 0 || d.offers != OffersNone)
	if !rewritten && d.handling == handlingForward && !mayBeRefused(client) && d.tracker.stats.Intercepted == 0 &&
		!d.closed {
		if want := client[:len(client)-len(d.cHeld)]; string(toServer) != want {
			t.Errorf("the server hears %q, want %q", toServer, want)
		}
	}
	if !isSubsequence(toServer, client) {
		t.Errorf("the server hears %q of %q", toServer, client)
	}
	if d.tracker.stats.Intercepted == 0 && !d.closed && !lists {
		want := server[:len(server)-len(d.sHeld)]
		// it does not get each "+"
		if same := string(toClient) == want; !same && (!rewritten || !isSubsequence(toClient, want)) {
			t.Errorf("the client hears %q, want %q", toClient, want)
		}
	}
	if len(d.sHeld) > 8<<10+64 && !d.closed {
		t.Errorf("%d bytes of the server are held", len(d.sHeld))
	}
	if stats := d.tracker.stats; stats.Queued < 0 || stats.Queued > int64(d.tracker.open) || d.tracker.open > maxOpen {
		t.Errorf("%d queued, %d open", stats.Queued, d.tracker.open)
	}
	d.releaseTables(d.now)
	if s := d.tracker.stats; s.Queued != 0 || s.Opaque != 0 {
		t.Errorf("left behind: %d queued, %d opaque", s.Queued, s.Opaque)
	}
}

// mayBeRefused says whether a command that is not passed on may be among a client's. Where a server answers it all the
// same, it is not counted as intercepted.
func mayBeRefused(client string) bool {
	client = strings.ToUpper(client)
	for _, verb := range []string{"COMPRESS", "STARTTLS", "UNAUTHENTICATE"} {
		if strings.Contains(client, verb) {
			return true
		}
	}
	return false
}

// isSubsequence says whether all of p stands in s, in order.
func isSubsequence(p []byte, s string) bool {
	for _, c := range p {
		i := strings.IndexByte(s, c)
		if i < 0 {
			return false
		}
		s = s[i+1:]
	}
	return true
}

// FuzzRelay carries a session between two peers that speak whole IMAP, in chunks, with pauses in their reading and an
// end that the input chooses. All that a command waits for has to arrive, in order, and the session has to end.
func FuzzRelay(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte, secure uint8, driverNumber uint8) {
		if len(script) > 64 {
			return
		}
		d := drivers[int(driverNumber)%len(drivers)]
		r := newRig(t, d, Options{
			Watch: func(int, Owner, uint64) Watcher {
				if secure < 128 {
					return nil
				}
				return silent{}
			},
		}, allWays[secure%4])
		defer r.close()
		playFuzzed(t, r.start(), script)
	})
}

// fuzzed is what one side is to say: its commands or answers, cut in chunks.
type fuzzed struct {
	chunks []string
	// bytes that must arrive: the client has closed its side, so the session may end behind the last answer
	due  int
	slow bool // reads only when the other side has said all
}

// fuzzedDialogue makes a conversation of bytes: each gives a command with its answer, and how both are cut.
func fuzzedDialogue(script []byte) (client, server fuzzed) {
	var commands, answers strings.Builder
	cut := 0
	for i, b := range script {
		tag := fmt.Sprintf("t%d", i)
		size := int(b>>3) * int(b>>3) * 64
		switch b & 7 {
		case 0, 1:
			fmt.Fprintf(&commands, "%s NOOP\r\n", tag)
		case 2, 3:
			fmt.Fprintf(&commands, "%s APPEND x {%d+}\r\n%s\r\n", tag, size, strings.Repeat("m\r\n+", size)[:size])
		case 4, 5:
			fmt.Fprintf(&commands, "%s UID FETCH 1 (BODY[])\r\n", tag)
			fmt.Fprintf(&answers, "* 1 FETCH (BODY[] {%d}\r\n%s)\r\n", size, strings.Repeat("t1 OK\r\n", size)[:size])
		case 6:
			fmt.Fprintf(&commands, "%s SEARCH \"{3}\" %s\r\n", tag, strings.Repeat("x", size/8))
			fmt.Fprintf(&answers, "* SEARCH %s\r\n", strings.Repeat("1 ", size/8))
		case 7:
			fmt.Fprintf(&answers, "* %d EXISTS\r\n* OK hello {7}\r\n", i)
			cut = cut*31 + int(b)
			continue
		}
		fmt.Fprintf(&answers, "%s OK done\r\n", tag)
		server.due = answers.Len()
		cut = cut*31 + int(b)
	}
	client.chunks, server.chunks = chunks(commands.String(), cut), chunks(answers.String(), cut/7)
	client.due = commands.Len()
	client.slow, server.slow = cut&1 == 1, cut&2 == 2
	return client, server
}

func chunks(text string, seed int) (all []string) {
	for text != "" {
		seed = (seed*1103515245 + 12345) & 0x7fffffff
		n := min(1+seed>>8%(1<<(seed%16)), len(text))
		all = append(all, text[:n])
		text = text[n:]
	}
	return all
}

// playFuzzed has both sides say what they have to say and checks that all of it arrives. Answers must not come before
// their commands, so the server speaks when the client's commands have reached it.
func playFuzzed(t *testing.T, tk *talk, script []byte) {
	client, server := fuzzedDialogue(script)
	var sides sync.WaitGroup
	said := make(chan struct{})
	sides.Go(func() {
		defer close(said)
		client.sayAll(t, tk.client)
		tk.client.halfClose()
	})
	var toServer, toClient []byte
	sides.Go(func() {
		if server.slow && len(strings.Join(client.chunks, "")) < 64<<10 {
			<-said
		}
		toServer = hearAll(t, tk.server, false)
		server.sayAll(t, tk.server)
		tk.server.Close()
	})
	sides.Go(func() {
		if client.slow {
			<-said
		}
		toClient = hearAll(t, tk.client, true)
		tk.client.Close()
	})
	sides.Wait()
	tk.end()
	if want := strings.Join(client.chunks, ""); string(toServer) != want {
		t.Errorf("the server hears %d bytes of %d, other ones from %d on", len(toServer), len(want),
			firstDifference(toServer, []byte(want)))
	}
	// The end is the client's own: nothing is added.
	if want := strings.Join(server.chunks, ""); len(toClient) < server.due ||
		!strings.HasPrefix(want, string(toClient)) {
		t.Errorf("the client hears %d bytes of %d, %d of them due, other ones from %d on",
			len(toClient), len(want), server.due, firstDifference(toClient, []byte(want)))
	}
}

// sayAll says it all. The session may be over when no more is due.
func (f fuzzed) sayAll(t *testing.T, p *peer) {
	said := 0
	for _, chunk := range f.chunks {
		if err := p.try(chunk); err != nil {
			if said < f.due {
				t.Errorf("%s says: %v", p.name, err)
			}
			return
		}
		said += len(chunk)
	}
}

func hearAll(t *testing.T, p *peer, toTheEnd bool) []byte {
	p.SetReadDeadline(time.Now().Add(patience))
	heard, err := io.ReadAll(p.in)
	var late net.Error
	if err != nil && (!toTheEnd || errors.As(err, &late)) {
		t.Errorf("%s hears: %v", p.name, err)
	}
	return heard
}
