package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"portico/configs"
)

// TestKeysAreRead: code outside configs reads a field of the name of each key. A key that nobody reads does nothing,
// and an operator would not learn of it.
func TestKeysAreRead(t *testing.T) {
	fields := make(map[string]string)
	fieldsOf(reflect.TypeFor[configs.Config](), fields)
	if len(fields) < 100 {
		t.Fatalf("only %d fields are found", len(fields))
	}
	selected := regexp.MustCompile(`\.([A-Z]\w*)\b`)
	goFiles(t, func(file string) bool {
		return !strings.HasSuffix(file, "_test.go") && !strings.HasPrefix(file, "configs/")
	}, func(_, text string) {
		for _, match := range selected.FindAllStringSubmatch(withoutComments.ReplaceAllString(text, ""), -1) {
			delete(fields, match[1])
		}
	})
	for name, key := range fields {
		t.Errorf("no code outside configs reads the key %s: field %s", key, name)
	}
}

// fieldsOf collects the names of fields with a key, and the key.
func fieldsOf(of reflect.Type, fields map[string]string) {
	switch of.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		fieldsOf(of.Elem(), fields)
	case reflect.Struct:
		for field := range of.Fields() {
			if key := field.Tag.Get("yaml"); key != "" {
				fields[field.Name] = key
				fieldsOf(field.Type, fields)
			}
		}
	}
}

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
