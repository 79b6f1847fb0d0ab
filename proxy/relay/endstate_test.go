package relay

import "testing"

var readStates = []readState{readEmpty, readMore, readToEOF, readToError, readEOF, readFailed}

// What is read only moves towards the end, except that bytes come and are taken. The end and a failure are final.
func TestReadStates(t *testing.T) {
	for e := range numReadEvents {
		for _, from := range readStates {
			to := from
			to.advance(e)
			switch {
			case from == readMore && to == readEmpty && (e == eventReadAll || e == eventReadNothing):
			case to < from:
				t.Errorf("event %d leads from state %d back to %d", e, from, to)
			case from == readEOF && to != readEOF && (to != readFailed || e != eventReadError):
				t.Errorf("event %d leads from the end to state %d", e, to)
			case e == eventReadError && to != readFailed:
				t.Errorf("a failure leads from state %d to %d", from, to)
			case (from == readToEOF || from == readToError) && to == readEmpty:
				t.Errorf("event %d forgets what epoll has reported: state %d to %d", e, from, to)
			}
		}
	}
	if int(numReadStates) != len(readStates) {
		t.Errorf("%d states, %d of them tested", numReadStates, len(readStates))
	}
}

// The bytes before the end are read before the end counts, whether it comes with them or behind.
func TestReadStatesInOrder(t *testing.T) {
	tests := []struct {
		name   string
		events []readEvent
		want   readState
	}{
		{"bytes come and are taken", []readEvent{eventBytes, eventReadAll}, readEmpty},
		{"a reading that takes only a part", []readEvent{eventBytes}, readMore},
		{"the end comes with bytes", []readEvent{eventBytes, eventClose, eventReadAll}, readEOF},
		{"the end comes with more bytes than one read takes", []readEvent{eventClose}, readToEOF},
		{"a failure behind bytes", []readEvent{eventFailure, eventReadAll}, readToError},
		{"and then the read that finds it", []readEvent{eventFailure, eventReadAll, eventReadError}, readFailed},
		{"a failure behind the reported end", []readEvent{eventClose, eventFailure}, readToError},
		{"an end that does not come", []readEvent{eventClose, eventReadNothing}, readFailed},
		{"TLS's end, and then other bytes", []readEvent{eventBytes, eventReadEOF, eventBytes, eventReadNothing},
			readEOF},
	}
	for _, test := range tests {
		var got readState
		for _, e := range test.events {
			got.advance(e)
		}
		if got != test.want {
			t.Errorf("%s: state %d, want %d", test.name, got, test.want)
		}
	}
}

// Our direction only moves towards its end. One that has failed can still be shut down, and once it is shut down
// nothing follows.
func TestWriteStates(t *testing.T) {
	for e := range numWriteEvents {
		for from := range numWriteStates {
			to := from
			to.advance(e)
			switch {
			case from == writeFailed && to == writeHalfClosing && e == eventHalfClose:
			case to < from && to != writeHalfClosed:
				t.Errorf("event %d leads from state %d back to %d", e, from, to)
			case from == writeHalfClosed && to != writeHalfClosed:
				t.Errorf("event %d leads from the end to state %d", e, to)
			case to == writeOpen:
				t.Errorf("event %d leaves state %d open", e, from)
			case (to == writeFailed) && e != eventWriteError && from != writeFailed:
				t.Errorf("event %d is taken for a failure in state %d", e, from)
			}
		}
	}
}
