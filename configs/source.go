package configs

import (
	"strconv"
	"strings"
)

// source holds the position in the file of each value of a configuration.
type source struct {
	file      string
	locations map[string]location
	broken    map[string]bool // paths with an error of the reader
}

// location is the position of a key and of its value. A list element has no key; both positions are then its own.
type location struct{ key, value position }

type position struct{ line, column int }

// find returns the location of path. If the file does not have it, find returns that of the nearest section around it,
// and exact is false.
func (s *source) find(path string) (p location, exact bool) {
	for at := path; ; at = parent(at) {
		if p, ok := s.locations[at]; ok {
			return p, at == path
		}
		if at == "" {
			start := position{1, 1}
			return location{start, start}, false
		}
	}
}

// complained reports whether the reader has reported an error for path or a section around it. A rule would only
// repeat that.
func (s *source) complained(path string) bool {
	for at := path; at != ""; at = parent(at) {
		if s.broken[at] {
			return true
		}
	}
	return false
}

// join appends a key to a path. A key that is not plain is quoted, so that no
// two keys share a path.
func join(path, key string) string {
	if !plain(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent removes the last key or index of a path.
func parent(path string) string {
	cut := strings.LastIndexByte(path, '.')
	switch {
	case strings.HasSuffix(path, "]"):
		cut = strings.LastIndexByte(path, '[')
	case strings.HasSuffix(path, `"`):
		cut = strings.LastIndex(path, `."`) // inside quotes a quote follows a backslash
	}
	return path[:max(cut, 0)]
}

func plain(key string) bool {
	for _, c := range []byte(key) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return key != ""
}
