package relay

import "testing"

// The buffer for large reads stays while there are such reads.
func TestBufferForLargeReads(t *testing.T) {
	lp := &loop{buf: make([]byte, headRoom+readSize)}
	if small := lp.readBuffer(readSize); len(small) != len(lp.buf) || lp.bulkBuf != nil {
		t.Errorf("a small read gets %d bytes, and one of %d is kept", len(small), len(lp.bulkBuf))
	}
	large := lp.readBuffer(readSize + 1)
	if len(large) < headRoom+bulkSize {
		t.Errorf("a large read gets %d bytes", len(large))
	}
	lp.trim()
	if again := lp.readBuffer(bulkSize); &again[0] != &large[0] {
		t.Error("the buffer was dropped while it was in use")
	}
	lp.trim()
	if lp.trim(); lp.bulkBuf != nil {
		t.Error("the buffer is kept while nobody needs it")
	}
}

// A loop keeps 32 buffers at most, and none that has grown large. With each tick without demand, half of them go.
func TestSpareBuffers(t *testing.T) {
	lp := &loop{}
	var lent []*pending
	for range keptBuffers + 8 {
		lent = append(lent, lp.lendPending())
	}
	large := lp.lendPending()
	large.data = make([]byte, 0, 2*readSize+1)
	lp.recycle(large)
	lp.recycle(nil)
	if len(lp.spare) != 0 {
		t.Errorf("%d buffers are kept, none of which may be", len(lp.spare))
	}
	for _, p := range lent {
		p.data, p.sent = append(p.data, "unsent"...), 3
		lp.recycle(p)
	}
	if len(lp.spare) != 32 {
		t.Errorf("%d buffers are kept, want 32", len(lp.spare))
	}
	if p := lp.lendPending(); len(p.data) != 0 || p.sent != 0 || p.size() != 0 || cap(p.data) == 0 {
		t.Errorf("a lent buffer has %q, %d of it sent", p.data, p.sent)
	} else {
		lp.recycle(p)
	}
	lp.trim() // one was wanted since
	for _, want := range []int{32, 16, 8, 4, 2, 1, 0, 0} {
		if len(lp.spare) != want {
			t.Errorf("%d buffers are kept, want %d", len(lp.spare), want)
		}
		lp.trim()
		for i, p := range lp.spare[:cap(lp.spare)] {
			if i >= len(lp.spare) && p != nil {
				t.Fatalf("buffer %d has gone, and is still referred to", i)
			}
		}
	}
}
