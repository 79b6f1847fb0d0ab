package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/configs"
)

// A new token is printed alone, and its line makes a file that knows it.
func TestTokenNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	status, token, errs := command("token", "new", "ann", "--right", "change", "--for", "90.00:00:00")
	if status != StatusFine || strings.Contains(errs, strings.TrimSpace(token)) {
		t.Fatalf("status %d, %q", status, errs)
	}
	_, line, _ := strings.Cut(errs, "\n")
	if err := os.WriteFile(file, []byte(strings.TrimSpace(line)), 0o600); err != nil { // without a line end
		t.Fatal(err)
	}
	status, other, errs := command("token", "new", "prometheus", "--right", "read", "--file", file)
	if status != StatusFine || errs != "" {
		t.Fatalf("status %d, %q", status, errs)
	}
	tokens, err := configs.ReadTokens(file)
	if err != nil || len(tokens) != 2 || tokens[0].Expires.IsZero() || !tokens[1].Expires.IsZero() ||
		tokens[0].Right != configs.RightChange || tokens[1].Right != configs.RightRead ||
		tokens[0].Hash != configs.HashToken(strings.TrimSpace(token)) ||
		tokens[1].Hash != configs.HashToken(strings.TrimSpace(other)) {
		t.Errorf("%+v, %v", tokens, err)
	}
	status, out, errs := command("token", "list", file, "--no-headers")
	if status != StatusFine || !strings.Contains(out, "ann") || !strings.Contains(out, "never") ||
		strings.Contains(out, "sha256") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

// A file that a token cannot be added to stays as it is, and no token is printed.
func TestTokenNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file, bad := filepath.Join(dir, "tokens"), filepath.Join(dir, "bad")
	command("token", "new", "ann", "--right", "read", "--file", file)
	if err := os.WriteFile(bad, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"Ann --right read --file " + file:  "has a token ann already",
		"bob --right read --file " + bad:   bad + ":1: a line is NAME RIGHT HASH",
		"bob --right write --file " + file: "the right must be one of read, change",
		"a/b --right read --file " + file:  "a name has 1 to 64",
		"bob --right read --for -1s":       "--for -1s is not in the future",
		"bob":                              "portico token new needs --right",
	} {
		before, _ := os.ReadFile(file)
		status, out, errs := command(append([]string{"token", "new"}, strings.Fields(args)...)...)
		after, _ := os.ReadFile(file)
		if status != StatusFailed || out != "" || !strings.Contains(errs, want) || string(after) != string(before) {
			t.Errorf("%s: status %d, %q, %q", args, status, out, errs)
		}
	}
}
