package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"testing"

	"portico/backend"
	"portico/configs/store"
	"portico/health"
	"portico/health/recovery"
	"portico/protolog"
)

// Each error has a kind, however deep it is wrapped, and each kind a status.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{errors.New("blocked"), KindRefused},
		{Of(KindInvalid, errors.New("bad")), KindInvalid},
		{Of(KindFailed, store.ErrConflict), KindFailed}, // what it was given counts
		{Unknown(errors.New("none")), KindUnknown},
		{NoSuch("server", "mbx9", nil), KindUnknown},
		{backend.ErrUnknownName, KindUnknown},
		{health.ErrUnknown, KindUnknown},
		{recovery.ErrUnknown, KindUnknown},
		{backend.ErrUserName, KindInvalid},
		{store.ErrConflict, KindConflict},
		{store.ErrClosed, KindUnavailable},
		{protolog.CheckRule(protolog.Filter{Slower: -1}), KindInvalid},
		{protolog.CheckRule(protolog.Filter{IP: "1"}), KindInvalid},
		{protolog.ErrTooMany, KindUnavailable},
		{protolog.ErrClosed, KindUnavailable},
		{context.DeadlineExceeded, KindUnavailable},
		{context.Canceled, KindUnavailable},
		{&fs.PathError{Op: "write", Path: "portico.db", Err: errors.New("no space left on device")}, KindFailed},
	} {
		if got := KindOf(fmt.Errorf("change: %w", c.err)); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
	for kind, row := range rowsOfKinds {
		if row.status < 400 || http.StatusText(row.status) == "" || row.title == "" || row.advice == "" {
			t.Errorf("%s has %+v", kind, row)
		}
	}
	inner := errors.New("inner")
	if err := Of(KindInvalid, inner); !errors.Is(err, inner) || err.Error() != "inner" {
		t.Errorf("%v", err)
	}
}
