package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bareDuration finds log fields that are durations without a unit: zerolog writes them as numbers.
var bareDuration = regexp.MustCompile(`\b(Durs?|TimeDiff)\("`)

// Durations in the log have their unit, as in the configuration: "30s". Stringer writes them so.
func TestLoggedDurationsHaveUnits(t *testing.T) {
	read := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		read++
		text, err := os.ReadFile(path)
		for _, at := range bareDuration.FindAllIndex(text, -1) {
			t.Errorf("%s:%d: log a duration by Stringer", path, 1+strings.Count(string(text[:at[0]]), "\n"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 300 {
		t.Errorf("only %d files were read", read)
	}
}
