package relay

import "testing"

// A loop keeps 32 buffers at most, and none that has grown large. With each tick without demand, half of them go.
func TestSpareBuffers(t *testing.T) {
	lp := &loop{}
	var lent []*pending
	for range keptBuffers + 8 {
		lent = append(lent, lp.buffer())
	}
	large := lp.buffer()
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
	if p := lp.buffer(); len(p.data) != 0 || p.sent != 0 || p.size() != 0 || cap(p.data) == 0 {
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
