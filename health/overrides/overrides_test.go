package overrides

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"portico/configs/store"
	"portico/health"
)

const prefix = "health/overrides/"

func open(t *testing.T, kept store.Store, o Options) *Set {
	t.Helper()
	o.Stored, o.Version = store.SetOf[health.Override](kept, prefix), "1.0"
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Set, o health.Override) (was store.Item[health.Override]) {
	t.Helper()
	was, _, err := s.Add(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return was
}

var off = health.Override{Identity: "S/P", ItemType: health.ItemProbe, Property: "Enabled", Value: "0"}

// An override that another writer adds, changes or removes takes effect, and so does its end. It survives a restart.
func TestFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		changes, ended := 0, 0
		s := open(t, kept, Options{Changed: func() { changes++ }, Ended: func(health.Override) { ended++ }})
		go s.Run(t.Context())
		want := func(value string, n int) {
			t.Helper()
			synctest.Wait()
			got := ""
			for _, o := range s.InForce() {
				got += o.Value
			}
			if got != value || changes != n {
				t.Errorf("in force is %q after %d changes, want %q after %d", got, changes, value, n)
			}
		}
		want("", 0)
		other := open(t, kept, Options{})
		if was := add(t, other, off); was.Revision != 0 {
			t.Errorf("there was %+v", was)
		}
		want("0", 1)
		on := off
		on.Value = "1"
		if was := add(t, other, on); was.Value.Value != "0" {
			t.Errorf("there was %+v", was)
		}
		want("1", 2)
		if _, err := other.Remove(t.Context(), off); err != nil {
			t.Error(err)
		}
		want("", 3)
		if _, err := s.Remove(t.Context(), off); !errors.Is(err, health.ErrUnknown) {
			t.Errorf("an override that is not there is removed: %v", err)
		}
		on.Until = time.Now().Add(time.Minute)
		add(t, s, on)
		want("1", 4) // by this one: told once
		if again := open(t, kept, Options{}); len(again.InForce()) != 1 {
			t.Error("a restart has forgotten the override")
		}
		time.Sleep(time.Minute + endEach)
		want("", 5)
		if left, err := kept.List(t.Context(), prefix); err != nil || len(left) != 0 || ended != 1 {
			t.Errorf("%d have ended, stored are %v, %v", ended, left, err)
		}
	})
}

// stubborn is a store that deletes nothing.
type stubborn struct{ store.Store }

func (stubborn) Delete(context.Context, string, uint64) error { return errors.New("no space left") }

// An override ends though the store cannot delete it, and so does one of another version of the program.
func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		defer kept.Close()
		changes := 0
		s := open(t, stubborn{kept}, Options{Changed: func() { changes++ }})
		soon, older := off, off
		soon.Until = time.Now().Add(time.Minute)
		older.Identity, older.Version = "S/Q", "0.9"
		add(t, s, soon)
		add(t, s, older)
		if all := s.InForce(); len(all) != 1 || all[0].Identity != "S/P" {
			t.Errorf("in force are %+v", all)
		}
		time.Sleep(time.Minute)
		s.end(t.Context())
		if all := s.InForce(); len(all) != 0 || changes != 3 {
			t.Errorf("in force are %+v after %d changes", all, changes)
		}
	})
}
