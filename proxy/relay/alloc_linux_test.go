package relay

import "testing"

// TLS allocates by itself, so that only plain ends show what the relay does.
func TestALoopAllocatesNothingForACommand(t *testing.T) {
	eachLoop(t, aLoopAllocatesNothingForACommand)
}

func aLoopAllocatesNothingForACommand(t *testing.T, d driver) {
	exchange := exchanger(t, d, ways{}, noop, noopAnswer)
	exchange()
	if n := testing.AllocsPerRun(200, exchange); n != 0 {
		t.Errorf("%v allocations for a command", n)
	}
}
