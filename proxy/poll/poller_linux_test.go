package poll

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPostIsReadByALoopThatSleeps posts to a loop that waits for long as soon as nothing comes: a call that does not
// wake it is never made.
func TestPostIsReadByALoopThatSleeps(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop := false
	go func() {
		defer close(ended)
		defer p.Release()
		for !stop || !p.CloseEmptyMail() {
			for i, events := 0, p.Wait(-1); i < len(events); i++ {
				p.Woken()
			}
			p.ReadMail()
		}
	}()
	var posters sync.WaitGroup
	for range 3 {
		posters.Go(func() {
			for round := range 40 {
				if round%4 == 0 {
					// it may be asleep now; if not, it is as well
					time.Sleep((patience + 2) * briefly * time.Millisecond)
				}
				called := make(chan struct{})
				if !p.Post(func() { close(called) }) {
					t.Error("the mailbox is closed")
					return
				}
				<-called
			}
		})
	}
	posters.Wait()
	p.Post(func() { stop = true })
	<-ended
	if p.Post(func() { t.Error("called after the end") }) {
		t.Error("a closed mailbox takes letters")
	}
}

// TestMailKeepsItsOrder has many post to a loop that closes meanwhile: calls of one poster come in its order, those
// taken are all made, and those refused are not.
func TestMailKeepsItsOrder(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	const posters, letters = 4, 500
	var taken, made atomic.Int64
	var all sync.WaitGroup
	for range posters {
		var last int
		all.Go(func() {
			for i := 1; i <= letters; i++ {
				if p.Post(func() {
					if i <= last {
						t.Errorf("call %d after call %d", i, last)
					}
					last = i
					made.Add(1)
				}) {
					taken.Add(1)
				}
			}
		})
	}
	for made.Load() < posters*letters/2 {
		p.ReadMail()
	}
	p.CloseMail()
	all.Wait()
	if taken.Load() != made.Load() || made.Load() < posters*letters/2 {
		t.Errorf("%d calls were taken, %d were made", taken.Load(), made.Load())
	}
	p.ReadMail()
	if !p.CloseEmptyMail() || p.Post(func() {}) {
		t.Error("a closed mailbox is open")
	}
}

// TestMailboxThatIsNotEmptyStaysOpen holds that nothing which was taken is lost at the end.
func TestMailboxThatIsNotEmptyStaysOpen(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	called := false
	p.Post(func() { called = true })
	if p.CloseEmptyMail() {
		t.Error("closed with a letter in it")
	}
	if p.ReadMail(); !called || !p.CloseEmptyMail() {
		t.Errorf("called %t, and it does not close when empty", called)
	}
}
