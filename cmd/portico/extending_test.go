package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var withoutComments = regexp.MustCompile(`(?m)//.*$`)

// TestNamesOfTestsInDocuments: docs/extending.md names tests that there are.
func TestNamesOfTestsInDocuments(t *testing.T) {
	named := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(readPage(t, "docs/extending.md"), -1) {
		named[name] = true
	}
	if len(named) < 10 {
		t.Fatalf("only %d tests are named", len(named))
	}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	goFiles(t, func(file string) bool { return strings.HasSuffix(file, "_test.go") }, func(_, text string) {
		for _, match := range declared.FindAllStringSubmatch(text, -1) {
			delete(named, match[1])
		}
	})
	for name := range named {
		t.Errorf("docs/extending.md: there is no test %s", name)
	}
}

// TestPathsAreWrittenOnce: only health/admin/api.go has the beginning of the API's paths. All other code uses the
// constants beside the routes, so a path that changes does so for server and client.
func TestPathsAreWrittenOnce(t *testing.T) {
	files := 0
	goFiles(t, func(file string) bool { return !strings.HasSuffix(file, "_test.go") }, func(file, text string) {
		files++
		if strings.Contains(withoutComments.ReplaceAllString(text, ""), "/api/v1") != (file == "health/admin/api.go") {
			t.Errorf("%s: paths of the API are constants of health/admin", file)
		}
	})
	if files < 300 {
		t.Errorf("only %d files are read", files)
	}
}

// goFiles reads those source files whose names, relative to the root, are wanted.
func goFiles(t *testing.T, wanted func(file string) bool, read func(file, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		file, err := filepath.Rel(root, path)
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || !wanted(filepath.ToSlash(file)) {
			return err
		}
		text, err := os.ReadFile(path)
		read(filepath.ToSlash(file), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
