package seal

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"portico/configs/store"
)

var secret, other = strings.Repeat("s", 32), strings.Repeat("o", 32)

// What is sealed is unreadable below and as it was above, however it is read and written.
func TestStoreSeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		below := store.Memory()
		s := Store(below, secret, "tickets", "log/key")
		batches, err := s.Watch(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		<-batches
		for key, w := range map[string]store.Writer{"tickets": s, "log/key": s.While("meta", 0), "log/rules/1": s} {
			if _, err := w.CompareAndSet(ctx, key, 0, []byte("value of "+key)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		seen := map[string]string{}
		for len(seen) < 3 { // a batch may have been on its way before the rest was written
			for _, c := range <-batches {
				seen[c.Key] = string(c.Value)
			}
		}
		want := map[string]string{}
		listed, err := s.List(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range listed {
			want[e.Key] = "value of " + e.Key
			got, err := s.Get(ctx, e.Key)
			raw, _ := below.Get(ctx, e.Key)
			if err != nil || string(got.Value) != want[e.Key] || string(e.Value) != want[e.Key] {
				t.Errorf("%s: got %q (%v), listed %q", e.Key, got.Value, err, e.Value)
			}
			if plain := bytes.Contains(raw.Value, []byte("value")); plain != (e.Key == "log/rules/1") {
				t.Errorf("%s is stored as %q", e.Key, raw.Value)
			}
		}
		if !reflect.DeepEqual(seen, want) {
			t.Errorf("watched %v, want %v", seen, want)
		}
	})
}

// What was not sealed for its key with this secret is shown as empty, and can be replaced.
func TestStoreShowsNothingForeign(t *testing.T) {
	ctx := t.Context()
	below := store.Memory()
	s := Store(below, secret, "sealed/")
	for key, value := range map[string][]byte{"sealed/plain": []byte("chosen by somebody else"), "sealed/empty": nil,
		"sealed/other": newSealer(other).seal("sealed/other", []byte("x")),
		"sealed/moved": newSealer(secret).seal("sealed/good", []byte("x")),
		"sealed/cut":   newSealer(secret).seal("sealed/cut", []byte("x"))[:20]} {
		revision, err := below.CompareAndSet(ctx, key, 0, value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(ctx, key)
		if err != nil || len(got.Value) > 0 || got.Revision != revision {
			t.Errorf("%s: %q at %d, %v", key, got.Value, got.Revision, err)
		}
		if _, err := s.CompareAndSet(ctx, key, got.Revision, []byte("mine")); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if got, _ := s.Get(ctx, key); string(got.Value) != "mine" {
			t.Errorf("%s is then %q", key, got.Value)
		}
	}
}

func TestCheck(t *testing.T) {
	ctx, s := t.Context(), store.Memory()
	if err := Check(ctx, s, secret); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without an entry: %v", err)
	}
	if _, err := s.CompareAndSet(ctx, CheckKey, 0, Proof(secret)); err != nil {
		t.Fatal(err)
	}
	if err := Check(ctx, s, secret); err != nil {
		t.Errorf("with the secret: %v", err)
	}
	if err := Check(ctx, s, other); !errors.Is(err, ErrSecret) {
		t.Errorf("with another: %v", err)
	}
}

func TestToken(t *testing.T) {
	token := Token(secret, "ask", "node mx1")
	for _, of := range [][3]string{{other, "ask", "node mx1"}, {secret, "tell", "node mx1"},
		{secret, "ask", "node mx2"}, {secret, "ask node", "mx1"}} {
		if token == Token(of[0], of[1], of[2]) {
			t.Errorf("it is also the token of %q", of)
		}
	}
	if token != Token(secret, "ask", "node mx1") || len(token) != 43 {
		t.Errorf("%q is no token", token)
	}
}
