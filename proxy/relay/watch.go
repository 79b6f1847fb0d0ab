package relay

import (
	"bytes"
	"time"

	"portico/proxy/wire"
)

// Watcher receives the commands of one session as they end. The relay's goroutines call its methods, never two at a
// time for one session. The methods must not block, and must not keep their arguments.
type Watcher interface {
	// Finished is called when a command has ended.
	Finished(*Finished)
	// Ended is called when the session has ended, as the last call.
	Ended(Ending)
}

// Finished is a command that has ended. Of what the client sent, it holds only what may be shown.
type Finished struct {
	Name       string      // of the command, in lower case; see wire.Mask
	Parameters *wire.Shown // nil where the session was not watched yet when the command began
	Result     Result
	Code       []byte        // the response code of the answer, without its arguments
	Text       []byte        // of an answer other than OK, where nothing of it can be the client's
	Spent      time.Duration // server time
	Request    uint64        // bytes of the command, its literals included
	Response   uint64        // bytes of the server since the answer before
	Data       uint32        // responses with data among them
}

// watching is the additional state of a watched session. It belongs to the session's loop.
type watching struct {
	watcher  Watcher
	received uint64   // bytes of the server so far
	reported uint64   // of them: up to the last answer
	data     uint32   // responses with data up to that answer
	finished Finished // what the watcher gets, to be used again
}

// memo is what a watched session keeps about an open command.
type memo struct {
	next    *memo // in the pool
	mask    wire.Mask
	request uint64
}

// observe replaces the watcher. nil ends the watching.
func (s *session) observe(w Watcher) {
	switch {
	case w == nil:
		s.watching = nil
	case s.watching == nil:
		s.watching = &watching{watcher: w, data: s.responses.Data()}
	default:
		s.watching.watcher = w
	}
}

// noteBegin records the start of a command of a watched session. If no other command is open, the bytes that the server
// has sent since its last answer do not count for it.
func (s *session) noteBegin(c *command, head wire.CommandHead) {
	c.memo = s.tracker.stats.pool.getMemo()
	c.memo.mask.Begin(head)
	if w := s.watching; s.tracker.open == 1 {
		w.reported, w.data = max(w.reported, w.received), s.responses.Data()
	}
}

// noteSent records bytes of the client that belong to the current command.
func (s *session) noteSent(p []byte) {
	if s.current != nil && s.current.memo != nil {
		s.current.memo.request += uint64(len(p))
		s.current.memo.mask.Feed(p)
	}
}

// mayWaitForLine says whether the end of p's first line is missing, and the line is short enough to wait for it.
func mayWaitForLine(p []byte) bool {
	return len(p) < wire.MaxCapabilityLine && bytes.IndexByte(p, '\n') < 0
}

// ours is the offset of an answer that the server did not send.
const ours = -1

// notifyFinished tells the watcher of a command that has ended. The answer stands at p[at] in the server's bytes. If at
// is ours, p is Portico's own answer, or nil if the command got none.
func (s *session) notifyFinished(c *command, r Result, p []byte, at int) {
	w := s.watching
	f := &w.finished
	*f = Finished{Name: c.verb.Lower(), Result: r, Spent: time.Duration(c.serverTime)}
	shownAll := false // the whole command is shown, so the answer cannot reveal more
	if c.memo != nil {
		f.Name, f.Parameters, f.Request = c.memo.mask.Name(c.verb), c.memo.mask.End(), c.memo.request
		shownAll = c.memo.mask.ShownAll()
	}
	if at == ours {
		f.Code, f.Text = wire.StatusText(p)
		f.Response = uint64(len(p))
	} else {
		end := at + nextLine(p[at:])
		f.Code, f.Text = wire.StatusText(p[at:end])
		if r != ResultNO || !shownAll {
			f.Text = nil
		}
		upTo := w.received + uint64(end)
		f.Response, f.Data = upTo-w.reported, s.responses.Data()-w.data
		w.reported, w.data = upTo, s.responses.Data()
	}
	w.watcher.Finished(f)
}

func (p *commandPool) getMemo() *memo {
	m := p.memos
	if m == nil {
		return new(memo)
	}
	p.memos = m.next
	m.next, m.request = nil, 0
	return m
}

func (p *commandPool) putMemo(m *memo) {
	m.next = p.memos
	p.memos = m
}
