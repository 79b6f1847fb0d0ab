package relay

import (
	"bytes"

	"portico/proxy/wire"
)

// maxOpen is how many commands a session may have open; then its client is not read.
const maxOpen = 256

// command is an open command. While it is open it belongs to one session, otherwise to its loop's pool.
type command struct {
	next       *command
	began      int64 // when the client sent its first bytes
	serverTime int64 // server time so far, in nanoseconds
	since      int64 // when a "+" or the answer became due; 0 if none is due
	paused     int64 // tracker.paused at that time
	verb       wire.Verb
	maybeBad   bool // the server has said BAD without a tag, perhaps of this one
	known      bool // see wire.LiteralGrammar.Known
	idling     bool // IDLE between its "+" and DONE: neither queued nor slow
	tagLen     uint8
	number     uint16 // of the session's commands; it wraps around
	tag        [wire.MaxTag]byte
	memo       *memo // nil while nobody watches the session
	grammar    *literalGrammar
}

// name returns the command's tag.
func (c *command) name() []byte { return c.tag[:c.tagLen] }

// commandPool keeps commands for re-use by the sessions of one loop, a bounded number of them.
type commandPool struct {
	free     *command
	kept     int
	memos    *memo           // as many as were in use at once; few sessions are watched
	grammars *literalGrammar // as many as were in use at once; a command has one only while it is being sent
}

const keptCommands = 1 << 10

func (p *commandPool) get() *command {
	c := p.free
	if c == nil {
		return new(command)
	}
	p.free = c.next
	p.kept--
	c.next = nil
	return c
}

func (p *commandPool) put(c *command) {
	if c.memo != nil {
		p.putMemo(c.memo)
	}
	p.putGrammar(c)
	if p.kept < keptCommands {
		*c = command{next: p.free}
		p.free = c
		p.kept++
	}
}

// tracker has a session's open commands, the oldest first, and measures the server time of each. Server time runs from
// the command's last byte to its tagged answer, and while the client waits for "+". The time in which the relay does
// not read the server, because the client does not take its bytes, does not count. Package wire finds the commands. A
// tracker belongs to the session's loop.
type tracker struct {
	stats       *counters
	first, last *command
	// Time in which the server was not read because the client took nothing. While pausing is true, it is that time
	// minus the start of the pause; see pausedUntil.
	paused      int64
	numAnswered uint32 // answered so far
	open        int16
	pausing     bool // the server is not read
}

// begin opens a command.
func (t *tracker) begin(tag []byte, verb wire.Verb, now int64) *command {
	c := t.stats.pool.get()
	c.verb, c.number, c.began = verb, uint16(t.numBegun()), now
	c.tagLen = uint8(copy(c.tag[:], tag))
	if t.last == nil {
		t.first = c
	} else {
		t.last.next = c
	}
	t.last = c
	t.open++
	t.stats.addQueued(1)
	return c
}

// numBegun returns how many commands have begun so far.
func (t *tracker) numBegun() int { return int(t.numAnswered) + int(t.open) }

// find returns the oldest open command with this tag.
func (t *tracker) find(tag []byte) *command {
	for c := t.first; c != nil; c = c.next {
		if bytes.Equal(c.name(), tag) {
			return c
		}
	}
	return nil
}

// startClock starts a command's server time: from now on a "+" or the answer is due.
func (t *tracker) startClock(c *command, now int64) {
	c.since = now
	c.paused = t.pausedUntil(now)
}

// stopClock stops a command's server time: the "+" or the answer has come.
func (t *tracker) stopClock(c *command, now int64) {
	c.serverTime = t.serverTime(c, now)
	c.since = 0
}

// serverTime returns the command's server time up to now.
func (t *tracker) serverTime(c *command, now int64) int64 {
	if c.since == 0 {
		return c.serverTime
	}
	return c.serverTime + now - c.since - (t.pausedUntil(now) - c.paused)
}

// setIdling records that the command's wait for new mail has begun or ended.
func (t *tracker) setIdling(c *command, idling bool) {
	if c.idling == idling {
		return
	}
	c.idling = idling
	if idling {
		t.stats.addQueued(-1)
	} else {
		t.stats.addQueued(1)
	}
}

// finish counts a command whose clock has stopped, and removes it.
func (t *tracker) finish(c *command, r Result) {
	t.stats.observe(c.verb, r, c.serverTime)
	t.numAnswered++
	t.remove(c)
}

// remove takes a command out of the open ones, and returns it to the pool.
func (t *tracker) remove(c *command) {
	t.setIdling(c, false)
	t.stats.addQueued(-1)
	t.open--
	if t.first == c {
		t.first = c.next
		if t.first == nil {
			t.last = nil
		}
	} else {
		before := t.first
		for before.next != c {
			before = before.next
		}
		before.next = c.next
		if t.last == c {
			t.last = before
		}
	}
	t.stats.pool.put(c)
}

// clear closes all commands: no answer will come, or the session is opaque.
func (t *tracker) clear() {
	for t.first != nil {
		t.stats.Results[t.first.verb][ResultAborted]++
		t.remove(t.first)
	}
}

// busy says whether any command is open. An IDLE that waits for mail does not count.
func (t *tracker) busy() bool {
	return t.open > 1 || t.open == 1 && !t.first.idling
}

// pause and resume stop and start all clocks while the relay does not read the server, because the client does not
// take its bytes.
func (t *tracker) pause(now int64) {
	if !t.pausing {
		t.pausing = true
		t.paused -= now
	}
}

func (t *tracker) resume(now int64) {
	t.paused = t.pausedUntil(now)
	t.pausing = false
}

func (t *tracker) pausedUntil(now int64) int64 {
	if t.pausing {
		return t.paused + now
	}
	return t.paused
}
