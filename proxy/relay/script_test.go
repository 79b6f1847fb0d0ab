package relay

import (
	"bytes"
	"strings"
	"testing"

	"portico/proxy/wire"
)

// A script is a dialogue through the relay, step by step. It is played on the bare session and on every
// driver, with whole texts and byte by byte.
type script struct {
	name   string
	offers Offers // what the server is known to offer when the relay begins
	lacks  wire.Extensions
	steps  []step
	opaque bool // at the end
	queued int64
	ends   bool // in doubt, with BYE
}

// step is one side's words, or what reaches one side. In text "\n" stands for CRLF, and "␊" for LF.
type step struct {
	who  who
	text string
}

type who byte

const (
	clientSays  who = 'c'
	serverSays  who = 's'
	clientHears who = 'C'
	serverHears who = 'S'
)

// both are steps for words that reach the other side as they are.
func passes(says who, texts ...string) (steps []step) {
	hears := clientHears
	if says == clientSays {
		hears = serverHears
	}
	for _, text := range texts {
		steps = append(steps, step{says, text}, step{hears, text})
	}
	return steps
}

// play plays scripts everywhere.
func play(t *testing.T, scripts []script) {
	playOnDesks(t, scripts)
	eachWay(t, func(t *testing.T, r *rig) {
		for _, sc := range scripts {
			for _, cut := range []func(string) []string{whole, bytewise} {
				playOnWires(t, r, sc, cut)
			}
		}
	})
}

// playOnDesks plays scripts on the bare session.
func playOnDesks(t *testing.T, scripts []script) {
	for _, sc := range scripts {
		for name, cut := range map[string]func(string) []string{"whole": whole, "bytes": bytewise} {
			t.Run("session/"+name+"/"+sc.name, func(t *testing.T) {
				d := newBareSession(sc.offers)
				d.extensions &^= sc.lacks
				playOnBareSession(t, d, sc, cut)
			})
			t.Run("watched/"+name+"/"+sc.name, func(t *testing.T) {
				d, _ := watchedSession(sc.offers)
				d.extensions &^= sc.lacks
				playOnBareSession(t, d, sc, cut)
			})
		}
	}
}

func whole(text string) []string { return []string{text} }

func bytewise(text string) []string { return strings.Split(text, "") }

// bareSession is a session without a driver. It offers again what was not used, as a driver does.
type bareSession struct {
	session
	now              int64
	client, server   record // what has reached them
	cHeld, sHeld     []byte
	closed, complete bool // the session has ended; and the client can tell that it has got everything
}

// sink takes bytes for one end.
type sink interface{ write(p []byte) }

// sinks are both.
type sinks struct{ client, server sink }

func (s sinks) toClient(p []byte) { s.client.write(p) }
func (s sinks) toServer(p []byte) { s.server.write(p) }
func (sinks) sessionOwner() Owner { return nil }

// record is a sink that keeps what it is given.
type record struct{ bytes.Buffer }

func (r *record) write(p []byte) { r.Write(p) }

// allExtensions is what a server offers where a test does not say otherwise.
const allExtensions = wire.LiteralPlus | wire.MultiAppend | wire.Catenate | wire.Binary | wire.Sort | wire.Thread |
	wire.Metadata | wire.Quota | wire.ACL | wire.ID | wire.Move | wire.Notify | wire.URLAuth

func newBareSession(offers Offers) *bareSession {
	d := &bareSession{now: 1}
	d.out = sinks{&d.client, &d.server}
	d.tracker.stats = NewStats().countersOf(Session{Server: "mbx1"})
	d.tracker.stats.pool = new(commandPool)
	d.offers, d.extensions = offers, allExtensions
	return d
}

// say hands the session what one side says.
func (d *bareSession) say(from who, text string) {
	if d.closed {
		return
	}
	if from == clientSays {
		d.cHeld = append(d.cHeld, text...)
	} else {
		d.sHeld = append(d.sHeld, text...)
		d.sHeld = bytes.Clone(d.sHeld[d.fromServer(d.sHeld, d.now):])
	}
	if from == clientSays || d.mayReadClient() {
		d.cHeld = bytes.Clone(d.cHeld[d.fromClient(d.cHeld, d.now):])
	}
	if d.ending {
		f := d.farewell(d.reason, false)
		d.complete = f.next == phaseParting
		d.client.WriteString(f.line)
		d.closed = true
	}
}

func (d *bareSession) hears(t *testing.T, to who, text string) {
	t.Helper()
	r := &d.client
	if to == serverHears {
		r = &d.server
	}
	if got := string(r.Next(len(text))); got != text {
		t.Fatalf("%c hears %q, want %q", to, got, text)
	}
}

func (d *bareSession) hearsNothingElse(t *testing.T) {
	t.Helper()
	if d.client.Len()+d.server.Len() > 0 {
		t.Fatalf("the client hears %q and the server %q out of turn", d.client.String(), d.server.String())
	}
}

func playOnBareSession(t *testing.T, d *bareSession, sc script, cut func(string) []string) {
	for _, s := range sc.steps {
		switch text := crlf(s.text); s.who {
		case clientSays, serverSays:
			d.hearsNothingElse(t)
			for _, piece := range cut(text) {
				d.say(s.who, piece)
			}
		default:
			d.hears(t, s.who, text)
		}
	}
	d.hearsNothingElse(t)
	stats := d.tracker.stats
	if d.opaque != sc.opaque || (stats.Opaque == 1) != sc.opaque || stats.Queued != sc.queued {
		t.Errorf("opaque %v (gauge %d), queued %d; want %v, %d", d.opaque, stats.Opaque, stats.Queued,
			sc.opaque, sc.queued)
	}
	if d.closed != sc.ends || sc.ends && (d.reason != ReasonDoubt || !d.complete) {
		t.Errorf("ended %v for reason %v, wholly %v", d.closed, d.reason, d.complete)
	}
	d.releaseTables(d.now)
	if stats.Queued != 0 || stats.Opaque != 0 {
		t.Errorf("gauges of a session that is over: queued %d, opaque %d", stats.Queued, stats.Opaque)
	}
}

func playOnWires(t *testing.T, r *rig, sc script, cut func(string) []string) {
	defer func() {
		if t.Failed() {
			t.Logf("script %q", sc.name)
		}
	}()
	tk := r.start(func(s *Session) { s.Offers, s.Extensions = sc.offers, allExtensions&^sc.lacks })
	for _, s := range sc.steps {
		switch text := crlf(s.text); s.who {
		case clientSays:
			tk.client.pieces(cut(text), sc.ends)
		case serverSays:
			tk.server.pieces(cut(text), sc.ends)
		case clientHears:
			tk.client.hears(s.text)
		case serverHears:
			tk.server.hears(s.text)
		}
	}
	if sc.ends {
		tk.server.rest()
		tk.client.hearsEnd()
	}
	tk.client.Close()
	tk.server.Close()
	if e := tk.end(); e.Opaque != sc.opaque || (e.Reason == ReasonDoubt) != sc.ends {
		t.Errorf("ended with %+v", e)
	}
}
