package main

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// columns is how long a line of code or prose may be, a tab being four.
const columns = 120

// unbreakable are pieces of code that stay on one line: raw text, and strings without a place to break.
var unbreakable = regexp.MustCompile("`|\"[^\" ]{60,}\"|\"(\\\\.|[^\"\\\\]){100,}")

// Lines of code and prose fit a window. Tables and examples of documents may be longer, as their lines cannot be
// broken.
func TestLinesFit(t *testing.T) {
	read := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		if suffix := filepath.Ext(path); suffix != ".go" && suffix != ".md" {
			return nil
		}
		read++
		return longLines(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 500 {
		t.Errorf("only %d files were read", read)
	}
}

// longLines reports the lines of a file that do not fit.
func longLines(t *testing.T, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	code, example := filepath.Ext(path) == ".go", false
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.Count(line, "`")%2 == 1 && code || strings.HasPrefix(strings.TrimSpace(line), "```") && !code {
			example = !example
		}
		if utf8.RuneCountInString(line)+3*strings.Count(line, "\t") <= columns || example {
			continue
		}
		if code && unbreakable.MatchString(line) || !code &&
			(strings.HasPrefix(line, "|") || strings.Contains(line, "](")) {
			continue
		}
		t.Errorf("%s:%d has more than %d columns: %.60s...", path, n, columns, strings.TrimSpace(line))
	}
	return lines.Err()
}
