package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever key an URL stands at, and whatever is wrong with it, no mistake shows its user part.
func TestMistakesShowNoUserPart(t *testing.T) {
	urls := []string{
		"ftp://ann:s3same@host/path", "https://ann:s3same@host:port", "https://ann:s3s ame@host",
		`https://ann:s3s"ame@host`,
		"https://ann:s3s/ame@host", "https://ann:s3same@", "https://" + strings.Repeat("s3same", 20) + "@host",
		"://ann:s3same@host",
	}
	dir := t.TempDir()
	for _, key := range Keys() {
		if key.Type == "section" || key.Type == "map" {
			continue
		}
		for _, u := range urls {
			file := filepath.Join(dir, "portico.yaml")
			text := lineOf(key.Path, "'"+u+"'")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(file)
			if err == nil {
				t.Fatalf("%s: no mistake", text)
			}
			shown := err.Error()
			if strings.Contains(shown, "s3s") || strings.Contains(shown, "ann:") {
				t.Errorf("%s: %s", text, shown)
			}
		}
	}
}

// lineOf writes a configuration with one key, in flow style.
func lineOf(path, value string) string {
	text := value
	names := strings.Split(path, ".")
	for i := len(names) - 1; i >= 0; i-- {
		name, list := strings.CutSuffix(names[i], "[]")
		if list {
			text = "[" + text + "]"
		}
		if i > 0 {
			text = "{" + strings.Trim(name, "<>") + ": " + text + "}"
		} else {
			text = name + ": " + text + "\n"
		}
	}
	return text
}

func TestWithoutUserInfo(t *testing.T) {
	for message, want := range map[string]string{
		`is "https://ann:x@h/a@b" and "http://bob@i"`: `is "https://b" and "http://i"`,
		`is "https://ann:x\"y z@h"`:                   `is "https://h"`,
		"open /x/https:/ann:y z@h/p: no such file":    "open /x/https://h/p: no such file",
		"see https://h: a@b is no host":               "see https://h: a@b is no host",
		`must be "a@b", no URL`:                       `must be "a@b", no URL`,
		`is "https://h/p" for "a@b"`:                  `is "https://h/p" for "a@b"`,
	} {
		if got := withoutUserInfo(message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
}
