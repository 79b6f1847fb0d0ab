package relay

import "testing"

var readStates = []readState{readQuiet, readMore, readLast, readCut, readEOF, readFailed}

// What is read only moves towards the end, except that bytes come and are taken. The end and a failure are final.
func TestReadStates(t *testing.T) {
	for e := range numReadEvents {
		for _, from := range readStates {
			to := from
			to.on(e)
			switch {
			case from == readMore && to == readQuiet && (e == readTookAll || e == readNothing):
			case to < from:
				t.Errorf("event %d leads from state %d back to %d", e, from, to)
			case from == readEOF && to != readEOF && (to != readFailed || e != readBreaks):
				t.Errorf("event %d leads from the end to state %d", e, to)
			case e == readBreaks && to != readFailed:
				t.Errorf("a failure leads from state %d to %d", from, to)
			case (from == readLast || from == readCut) && to == readQuiet:
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
		{"bytes come and are taken", []readEvent{readReported, readTookAll}, readQuiet},
		{"a reading that takes only a part", []readEvent{readReported}, readMore},
		{"the end comes with bytes", []readEvent{readReported, readClosing, readTookAll}, readEOF},
		{"the end comes with more bytes than one read takes", []readEvent{readClosing}, readLast},
		{"a failure behind bytes", []readEvent{readBreaking, readTookAll}, readCut},
		{"and then the read that finds it", []readEvent{readBreaking, readTookAll, readBreaks}, readFailed},
		{"a failure behind the reported end", []readEvent{readClosing, readBreaking}, readCut},
		{"an end that does not come", []readEvent{readClosing, readNothing}, readFailed},
		{"TLS's end, and then other bytes", []readEvent{readReported, readEnds, readReported, readNothing}, readEOF},
	}
	for _, test := range tests {
		var got readState
		for _, e := range test.events {
			got.on(e)
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
			to.on(e)
			switch {
			case from == writeFailed && to == writeShutting && e == writeShuts:
			case to < from && to != writeShut:
				t.Errorf("event %d leads from state %d back to %d", e, from, to)
			case from == writeShut && to != writeShut:
				t.Errorf("event %d leads from the end to state %d", e, to)
			case to == writeOpen:
				t.Errorf("event %d leaves state %d open", e, from)
			case (to == writeFailed) && e != writeBreaks && from != writeFailed:
				t.Errorf("event %d is taken for a failure in state %d", e, from)
			}
		}
	}
}
