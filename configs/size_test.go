package configs

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "65537": 65537, "64KB": 64 << 10, "10mb": 10 << 20, "1 GB": 1 << 30, "2TB": 2 << 40,
		"unlimited": Unlimited, "Unlimited": Unlimited,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if again, err := ParseSize(got.String()); err != nil || again != want {
			t.Errorf("%q is written %q, which is %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5MB", "MB", "10 PB", "9223372036854775807KB", "ten"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
	if text := Size(1 << 20).String(); text != "1MB" {
		t.Errorf("1 MiB is written %q", text)
	}
}
