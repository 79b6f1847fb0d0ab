package health

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// writeEach is how many runs of ImapDeepTestProbe there are to one that writes. A full volume can still be read.
const writeEach = 10

// mailboxWriter makes ImapDeepTestProbe write to a database's health mailbox: it appends a message and expunges it. It
// is safe for concurrent use.
type mailboxWriter struct {
	sender string // marks its messages

	mu     sync.Mutex // guards what follows
	runs   int
	failed bool // each run writes until one succeeds: a monitor counts failures in a row
	proved bool // it has succeeded, so the mailbox allows it
	barred bool // the mailbox does not allow it
}

func newMailboxWriter() *mailboxWriter { return &mailboxWriter{sender: rand.Text()} }

// due reports whether a run writes: every tenth run, each run after a failure, and each run by hand. It never writes
// to an account that is given by hand.
func (w *mailboxWriter) due(run *Run) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if run.Account != "" || run.ReadOnly || w.barred {
		return false
	}
	if run.ByHand {
		return true
	}
	w.runs++
	return w.failed || w.runs%writeEach == 1
}

// write appends and expunges a message. A mailbox that has always been read-only is no fault. One that becomes
// read-only is, for example when its file system does.
func (w *mailboxWriter) write(client *imapclient.Client, run *Run) error {
	err := exchange(client, run, writeSubject, w.sender)
	w.mu.Lock()
	defer w.mu.Unlock()
	var answered *imap.Error
	if errors.As(err, &answered) && answered.Code == imap.ResponseCodeNoPerm && !w.proved {
		w.barred = true
		run.Context = fmt.Sprintf("no test message was written to the health mailbox: %v", err)
		return nil
	}
	w.failed, w.proved = err != nil, w.proved || err == nil
	return err
}
