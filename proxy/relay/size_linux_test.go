package relay

import (
	"testing"
	"unsafe"
)

// A session's record stays within a size of Go's allocator: a byte more takes 32.
func TestSizeOfALink(t *testing.T) {
	if size := unsafe.Sizeof(link{}); size > 320 {
		t.Errorf("a link has %d bytes: session %d, tracker %d, end %d", size, unsafe.Sizeof(session{}),
			unsafe.Sizeof(tracker{}), unsafe.Sizeof(end{}))
	}
}
