package relay

import "testing"

// TLS allocates by itself, so that only plain ends show what the relay does.
func TestALoopAllocatesNothingForACommand(t *testing.T) {
	exchange := exchanger(t, drivers[0], ways{}, noop, noopAnswer)
	exchange()
	if n := testing.AllocsPerRun(200, exchange); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
}
