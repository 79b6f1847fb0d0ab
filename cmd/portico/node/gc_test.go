package node

import "testing"

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[uint64]int{0: 200, 1 * mib: 200, 4 * mib: 200, 16 * mib: 50, 1000 * mib: gcPercent} {
		if got := percentFor(live, 8*mib); got != want {
			t.Errorf("%d MiB alive: %d %%, want %d", live/mib, got, want)
		}
	}
}

func TestSlackFor(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct{ setups, allocated, want uint64 }{
		"nobody":  {0, 0, 8 * mib},
		"too few": {enoughSeen - 1, 100 * mib, 8 * mib},
		"plain":   {1000, 5 * mib, 6*mib + leastSlack/4},
		"between": {setupsToCollect, 12 * mib, 9 * mib},
		"TLS":     {1000, 100 * mib, 6*mib + mostSlack/4},
	} {
		if got := slackFor(test.setups, test.allocated, 8*mib); got != test.want {
			t.Errorf("%s: %d bytes", name, got)
		}
	}
}

func TestQuiet(t *testing.T) {
	const mib = 1 << 20
	before := heapState{live: 4 * mib, objects: 8 * mib, allocated: 100 * mib}
	for name, test := range map[string]struct {
		now         heapState
		quiet, much bool
	}{
		"quiet":            {heapState{4 * mib, 8 * mib, 0, 100*mib + 1}, true, true},
		"busy":             {heapState{4 * mib, 9 * mib, 0, 101 * mib}, false, true},
		"hardly any there": {heapState{8 * mib, 8*mib + 1, 0, 100*mib + 1}, true, false},
		"empty room":       {heapState{8 * mib, 8 * mib, 2 * mib, 100*mib + 1}, true, true},
	} {
		if quiet, much := test.now.quietSince(before), test.now.worthCollecting(); quiet != test.quiet ||
			much != test.much {
			t.Errorf("%s: quiet %v, worth collecting %v", name, quiet, much)
		}
	}
}

// The runtime knows all that is asked of it, under these names.
func TestHeapRead(t *testing.T) {
	if h := newHeap().read(); h.objects == 0 || h.allocated < h.objects {
		t.Errorf("got %+v", h)
	}
}
