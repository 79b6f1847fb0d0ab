package recovery

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// Whoever asks for a step learns why it was not done, and the recovery log says the same. Nobody waits for a server
// that was not restarted.
func TestByHandFails(t *testing.T) {
	for _, cell := range []struct {
		err       error
		result    Result
		message   string
		exception string
	}{
		{errors.New("exit status 1"), ResultFailed, "done", "exit status 1"},
		{Skipped("a database is active there"), ResultSkipped, "a database is active there", ""},
	} {
		w := newWorld(t)
		w.fail[RestartServer] = cell.err
		r, err := w.r.ByHand(t.Context(), RestartServer, Case{Server: "mbx1"}, "operator", false)
		if !errors.Is(err, cell.err) {
			t.Errorf("told %v, not %v", err, cell.err)
		}
		all := w.r.Records()
		if len(all) != 1 || all[0] != r {
			t.Fatalf("returned %+v; the log has %+v", r, all)
		}
		if r.Result != cell.result || r.Message != cell.message || r.Exception != cell.exception ||
			r.State != Finished ||
			r.Requestor != "operator" || r.Resource != "mbx1" || !r.End.Equal(w.now) {
			t.Errorf("%v: %+v", cell.err, r)
		}
		if len(w.followed) > 0 {
			t.Errorf("%v: probes are repeated: %q", cell.err, w.followed)
		}
	}
}

// A lift that fails is an error, and the recovery log has it. What leaves nothing behind is not lifted.
func TestLiftFails(t *testing.T) {
	w := newWorld(t)
	w.well, w.undoFail = true, errors.New("the store is full")
	r, err := w.r.Lift(t.Context(), Failover, Case{Server: "mbx1"}, "operator")
	if !errors.Is(err, w.undoFail) || r.ID != "AllowActivation" || r.Result != ResultFailed ||
		r.Exception != "the store is full" {
		t.Errorf("%+v: %v", r, err)
	}
	if got := w.log(); got != "AllowActivation/mbx1:Failed" {
		t.Errorf("the log has %s", got)
	}
	if r, err := w.r.Lift(t.Context(), RestartService, Case{Server: "mbx1"}, "operator"); err != nil ||
		r != (Record{}) || len(w.r.Records()) != 1 {
		t.Errorf("a restart: %+v, %v", r, err)
	}
}

// A machine that asks too often is told so, with the rule that forbids it.
func TestByHandThrottled(t *testing.T) {
	w := newWorld(t)
	w.plan.Throttles[RestartService] = Throttle{InAnHour: 1, InADay: -1, GroupInADay: -1}
	w.r.Use(w.plan)
	c := Case{Server: "mbx1"}
	if r, err := w.r.ByHand(t.Context(), RestartService, c, "runbook selftest", true); err != nil || r.Throttle != "" {
		t.Fatalf("%+v: %v", r, err)
	}
	r, err := w.r.ByHand(t.Context(), RestartService, c, "runbook selftest", true)
	if !errors.Is(err, ErrThrottled) || !strings.Contains(err.Error(),
		"restart_service of mbx1: throttled: the limit is 1 in an hour") {
		t.Error(err)
	}
	if r.ThrottledBy != "RestartService/mbx1" || !strings.Contains(r.Throttle,
		"LocalMaximumAllowedAttemptsInOneHour=1") {
		t.Errorf("%+v", r)
	}
	w.compare("restart_service mbx1", "")
}

// A step that somebody asks for is in the recovery log before it begins: if the process ends meanwhile, the next one
// says that the step was interrupted, and counts it.
func TestByHandInterrupted(t *testing.T) {
	w := newWorld(t)
	options := w.r.opt
	w.r.opt.Actors[RestartServer] = Actor{Do: func(ctx context.Context, _ Case) (string, error) {
		next, err := New(ctx, options)
		if err != nil {
			t.Fatal(err)
		}
		all := next.Records()
		if len(all) != 1 || all[0].ID != "ForceReboot" || all[0].Result != ResultInterrupted ||
			all[0].Requestor != "operator" || !all[0].attempted() {
			t.Errorf("the next process has %+v", all)
		}
		return "", context.Canceled
	}}
	if all := w.r.Records(); len(all) != 0 {
		t.Errorf("before it %+v", all)
	}
	if _, err := w.r.ByHand(t.Context(), RestartServer, Case{Server: "mbx1"}, "operator", false); !errors.Is(err,
		context.Canceled) {
		t.Error(err)
	}
}
