package recovery

import (
	"strings"
	"testing"
)

// Each step of a runbook has an effect: an action, a look at the mailbox server, or a pause. "see" and "wait" are the
// last two.
func TestStepsOfRunbooks(t *testing.T) {
	const server = "restart_service, failover, restart_server"
	const commands = "see, restart_service wait, failover wait, restart_server wait, restart_front_end wait"
	want := map[string]string{
		"selftest": server, "deep": server, "queue": commands, "average": commands,
		"proxy": "restart_front_end, out_of_service, restart_front_end",
		"ctp":   "restart_service, protocol_log, see, restart_front_end, wait",
	}
	for _, book := range Runbooks {
		var steps []string
		for _, step := range book.Steps {
			var words []string
			if step.Do != "" {
				words = append(words, string(step.Do))
			}
			if step.SeeTo {
				words = append(words, "see")
			}
			if step.Wait {
				words = append(words, "wait")
			}
			steps = append(steps, strings.Join(words, " "))
		}
		if got := strings.Join(steps, ", "); got != want[book.Name] {
			t.Errorf("the steps of %s are\n%s\nwant\n%s", book.Name, got, want[book.Name])
		}
		delete(want, book.Name)
	}
	for name := range want {
		t.Errorf("there is no runbook %s", name)
	}
}
