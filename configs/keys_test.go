package configs

import (
	"reflect"
	"testing"
	"time"
)

// TestTimings: Timings has each timing of a probe in Health, under the key of the file.
func TestTimings(t *testing.T) {
	var h Health
	want := make(map[string]ProbeTiming)
	for field, value := range reflect.ValueOf(&h).Elem().Fields() {
		timing := ProbeTiming{Interval: time.Duration(len(want) + 1), Timeout: 2, Failures: 3}
		switch of := value.Addr().Interface().(type) {
		case *ProbeTiming:
			*of = timing
		case *DeepTest:
			*of = DeepTest{Interval: timing.Interval, Timeout: timing.Timeout, Failures: timing.Failures}
		default:
			continue
		}
		want[field.Tag.Get("yaml")] = timing
	}
	if got := h.Timings(); len(want) == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("Timings are %v, want %v", got, want)
	}
}

// TestLadders: ByKey has each ladder, under the key of the file, and each has a default.
func TestLadders(t *testing.T) {
	var l Ladders
	want := make(map[string][]RecoveryStep)
	for field, value := range reflect.ValueOf(&l).Elem().Fields() {
		key := field.Tag.Get("yaml")
		want[key] = []RecoveryStep{RecoveryStep("step of " + key)}
		value.Set(reflect.ValueOf(want[key]))
	}
	if got := l.ByKey(); len(want) == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("ladders are %v, want %v", got, want)
	}
	for key, steps := range Default().Health.Recovery.Ladders.ByKey() {
		if len(steps) == 0 {
			t.Errorf("ladder %s has no default", key)
		}
	}
}
