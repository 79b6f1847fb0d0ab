package backendtest

import (
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// go-imap's own Idle forgets what is queued before it listens, a delivery right
// behind its "+" for one. So sessions here wait for a signal of ours: whatever
// changes a mailbox rouses those in IDLE, and each looks at its own queue first.

// changes notifies any number of waiters of a change.
type changes struct {
	mu   sync.Mutex
	next chan struct{}
}

// wait returns a channel that is closed at the next change.
func (c *changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = make(chan struct{})
	}
	return c.next
}

func (c *changes) rouse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}

// Idle reports changes of the selected mailbox until stop is closed.
func (s *memorySession) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	for {
		changed := s.server.changes.wait()
		if err := s.Poll(w, true); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stop:
			return nil
		}
	}
}

// Append adds a message.
func (s *memorySession) Append(mailbox string, r imap.LiteralReader, o *imap.AppendOptions) (*imap.AppendData, error) {
	defer s.server.changes.rouse()
	return s.UserSession.Append(mailbox, r, o)
}

// Store changes flags.
func (s *memorySession) Store(w *imapserver.FetchWriter, set imap.NumSet, f *imap.StoreFlags,
	o *imap.StoreOptions) error {
	defer s.server.changes.rouse()
	return s.UserSession.Store(w, set, f, o)
}

// Expunge removes messages.
func (s *memorySession) Expunge(w *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	defer s.server.changes.rouse()
	return s.UserSession.Expunge(w, uids)
}

// Copy copies messages.
func (s *memorySession) Copy(set imap.NumSet, to string) (*imap.CopyData, error) {
	defer s.server.changes.rouse()
	return s.UserSession.Copy(set, to)
}

// Move moves messages.
func (s *memorySession) Move(w *imapserver.MoveWriter, set imap.NumSet, to string) error {
	defer s.server.changes.rouse()
	return s.UserSession.Move(w, set, to)
}
