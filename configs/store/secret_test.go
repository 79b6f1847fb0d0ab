package store

import (
	"crypto/rand"
	"testing"
)

// A secret is made once, and what is damaged is not used.
func TestSecret(t *testing.T) {
	each(t, func(t *testing.T, s Store) {
		made, err := Secret(t.Context(), s, "secret", 32, rand.Reader)
		wantErr(t, err, nil)
		again, err := Secret(t.Context(), s, "secret", 32, rand.Reader)
		if wantErr(t, err, nil); string(again) != string(made) || len(made) != 32 {
			t.Errorf("made %x, then %x", made, again)
		}
		set(t, s, "empty", 0, "")
		if got, err := Secret(t.Context(), s, "empty", 32, rand.Reader); err == nil {
			t.Errorf("an empty one is taken: %x", got)
		}
	})
}
