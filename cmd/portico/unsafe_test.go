package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unsafeDecision is the number of the decision that lists the files with unsafe code and raw system calls.
const unsafeDecision = "165."

// Whoever builds with a new version of Go has to know what to look at.
func TestUnsafeFilesAreListed(t *testing.T) {
	listed := listedFiles(t, readPage(t, "docs/decisions.md"))
	found := unsafeFiles(t)
	if len(found) < 5 {
		t.Errorf("only %d files have unsafe code: the test finds nothing", len(found))
	}
	for _, file := range found {
		if !slices.Contains(listed, file) {
			t.Errorf("decision %s of docs/decisions.md does not list %s, nor what to check there", unsafeDecision, file)
		}
	}
	for _, file := range listed {
		if !slices.Contains(found, file) {
			t.Errorf("decision %s of docs/decisions.md lists %s, which has nothing unsafe", unsafeDecision, file)
		}
	}
}

var goFileLink = regexp.MustCompile(`\]\(\.\./([^)]+\.go)\)`)

// listedFiles returns the Go files that the decision links to.
func listedFiles(t *testing.T, decisions string) (files []string) {
	t.Helper()
	_, text, found := strings.Cut(decisions, "\n"+unsafeDecision+" ")
	if !found {
		t.Fatalf("there is no decision %s", unsafeDecision)
	}
	if next := regexp.MustCompile(`\n[0-9]+\. `).FindStringIndex(text); next != nil {
		text = text[:next[0]]
	}
	for _, match := range goFileLink.FindAllStringSubmatch(text, -1) {
		files = append(files, match[1])
	}
	return files
}

// unsafeFiles returns the files of the tree that have something unsafe, tests left out, for every system.
func unsafeFiles(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || name == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if isUnsafe(parsed) {
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// isUnsafe says whether a file imports unsafe or C, makes system calls by number, or links to names that are not
// exported.
func isUnsafe(file *ast.File) (found bool) {
	for _, spec := range file.Imports {
		found = found || spec.Path.Value == `"unsafe"` || spec.Path.Value == `"C"`
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			found = found || strings.HasPrefix(comment.Text, "//go:linkname")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if use, ok := n.(*ast.SelectorExpr); ok {
			switch use.Sel.Name {
			case "Syscall", "Syscall6", "RawSyscall", "RawSyscall6", "SyscallNoError", "RawSyscallNoError",
				"UnsafePointer", "UnsafeAddr":
				found = true
			}
		}
		return !found
	})
	return found
}

func TestIsUnsafe(t *testing.T) {
	for text, want := range map[string]bool{
		"import \"fmt\"\nfunc f() { fmt.Println(syscall.Getpid()) }": false,
		"import \"unsafe\"": true,
		"import \"C\"":      true,
		"func f() { syscall.RawSyscall(1, 2, 3, 4) }":     true,
		"func f() { unix.Syscall6(1, 2, 3, 4, 5, 6, 7) }": true,
		"func f(v reflect.Value) { v.UnsafePointer() }":   true,
		"//go:linkname f runtime.f\nfunc f()":             true,
		"// a word about go:linkname\nfunc f()":           false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "f.go", "package f\n"+text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := isUnsafe(file); got != want {
			t.Errorf("%q: unsafe %v, want %v", text, got, want)
		}
	}
}
