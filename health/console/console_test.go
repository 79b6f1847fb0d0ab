package console_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portico/health/console"
)

// get asks the console for a file.
func get(name string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	console.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, name, nil))
	return w
}

// forbidden are ways to make markup or programs from text, and to load something from elsewhere.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextual` +
	`|\beval\b|new Function|localStorage|sessionStorage|https?://(?:[^w]|w[^w])|<script>|<style|\sstyle=|\son\w+="`)

// Every file is served with its type and the policy, imports files that are there, and makes no markup from text.
func TestFiles(t *testing.T) {
	imports := regexp.MustCompile(`(?m)^import [^;]* from "([^"]+)";|(?:src|href)="(/console/[^"]+)"`)
	used := map[string]bool{"index.html": true}
	var names []string
	err := fs.WalkDir(os.DirFS("static"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		names = append(names, name)
		w := get("/console/" + name)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", name, w.Code)
		}
		h := w.Header()
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") ||
			h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Type"), "/") {
			t.Errorf("%s: headers %v", name, h)
		}
		text := w.Body.String()
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		lines := strings.Split(text, "\n")
		if len(lines) > 400 {
			t.Errorf("%s has %d lines", name, len(lines))
		}
		for i, line := range lines {
			if len(line) > 120 && !strings.HasSuffix(name, ".svg") {
				t.Errorf("%s:%d is %d long", name, i+1, len(line))
			}
		}
		for _, found := range imports.FindAllStringSubmatch(text, -1) {
			at := strings.TrimPrefix(found[2], "/console/")
			if found[1] != "" {
				at = path.Join(path.Dir(name), found[1])
			}
			used[at] = true
			if _, err := os.Stat(filepath.Join("static", at)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !used[name] {
			t.Errorf("%s is used by no file", name)
		}
	}
}

func TestOnlyItsFiles(t *testing.T) {
	for name, want := range map[string]int{
		"/": http.StatusOK, "/console/main.js": http.StatusOK, "/console/pages/log.js": http.StatusOK,
		"/console/": http.StatusNotFound, "/console/pages": http.StatusNotFound,
		"/console/none.js": http.StatusNotFound, "/console/%2e%2e/console.go": http.StatusNotFound,
		"/console/pages%2flog.js": http.StatusOK, "/index.html": http.StatusNotFound,
	} {
		if w := get(name); w.Code != want {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
