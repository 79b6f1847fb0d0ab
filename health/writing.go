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

// writing is how ImapDeepTestProbe writes to a database's health mailbox: it leaves a message and expunges it. It is
// safe for concurrent use.
type writing struct {
	sender string // marks its messages

	mu     sync.Mutex // guards what follows
	runs   int
	failed bool // each run writes until one succeeds: a monitor counts failures in a row
	proved bool // it has succeeded, so the mailbox allows it
	barred bool // the mailbox does not allow it
}

func newWriting() *writing { return &writing{sender: rand.Text()} }

// due says whether a run writes: every tenth, each after a failure, and each that somebody waits for. An account that
// somebody asks for is not written to.
func (w *writing) due(run *Run) bool {
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

// write writes. A mailbox that forbids it from the start is fine; one that does so later is at fault, as on a file
// system that has become read-only.
func (w *writing) write(client *imapclient.Client, run *Run) error {
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
