package cli

import (
	"testing"

	"portico/health/admin"
	"portico/health/admin/table"
)

func TestPenaltiesSayTheirReason(t *testing.T) {
	for _, c := range []struct {
		of   admin.Penalty
		want string
	}{
		{admin.Penalty{Failures: 1}, "1 failed sign-in"},
		{admin.Penalty{Failures: 3, Burst: 10, Guesses: 5}, "3 failed sign-ins"},
		{admin.Penalty{Burst: 10, Guesses: 0.5}, "too many guesses"},
		{admin.Penalty{Failures: 2, Burst: 10, Held: 1}, "2 failed sign-ins; too many guesses, 1 sign-in held"},
	} {
		if got := penaltyReason(c.of); got != c.want {
			t.Errorf("%+v: %q", c.of, got)
		}
	}
	for n, want := range map[int]string{0: "0 penalties", 1: "1 penalty", 2: "2 penalties"} {
		if got := table.Counted(n, "penalt/y/ies"); got != want {
			t.Error(got)
		}
	}
}
