package importer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of the input. Real configurations are far below them; maps of users are the largest files.
const (
	maxBytes      = 64 << 20 // of all files together
	maxFiles      = 1000
	maxDirectives = 20_000
	maxLines      = 500_000 // of maps of users
	maxThings     = 1000    // mailbox servers, listeners, certificates or networks
	maxDepth      = 32      // of blocks in blocks, and of files that include files
)

// source reads the files of one import and bounds them.
type source struct {
	read  func(name string) ([]byte, error)
	glob  func(pattern string) ([]string, error)
	base  string   // folder of the first file: places show names below it without it
	chain []string // the files that are being read, each included by the one before

	bytes, files, directives, lines int
}

// diskSource reads regular files.
func diskSource(base string) *source {
	return &source{read: readRegular, glob: filepath.Glob, base: base}
}

// readRegular reads a file that is no device or pipe, which could block or never end.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// load returns the text of a file.
func (s *source) load(name string) (string, error) {
	if s.files++; s.files > maxFiles {
		return "", fmt.Errorf("more than %d files", maxFiles)
	}
	data, err := s.read(name)
	if err != nil {
		return "", err
	}
	if s.bytes += len(data); s.bytes > maxBytes {
		return "", fmt.Errorf("%s: the files have more than %d MB", name, maxBytes>>20)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n"), nil
}

// short returns a file's name as places show it.
func (s *source) short(name string) string {
	if rel, err := filepath.Rel(s.base, name); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return name
}

// enter begins a file that another includes. The caller must call leave.
func (s *source) enter(name string) error {
	for _, above := range s.chain {
		if above == name {
			return fmt.Errorf("%s includes itself", s.short(name))
		}
	}
	if len(s.chain) >= maxDepth {
		return fmt.Errorf("%s: files include files more than %d deep", s.short(name), maxDepth)
	}
	s.chain = append(s.chain, name)
	return nil
}

func (s *source) leave() { s.chain = s.chain[:len(s.chain)-1] }

// add appends a directive to a block, if the input may have one more.
func (s *source) add(block *[]*directive, x *directive) error {
	if s.directives++; s.directives > maxDirectives {
		return fmt.Errorf("%s: more than %d directives", x.place(), maxDirectives)
	}
	*block = append(*block, x)
	return nil
}

// addLine counts a line of a map of users.
func (s *source) addLine(x *directive) error {
	if s.lines++; s.lines > maxLines {
		return fmt.Errorf("%s: more than %d lines", x.place(), maxLines)
	}
	return nil
}

// include parses the files that a pattern names into a block. A plain name must exist; a pattern may match nothing.
func (s *source) include(dir, pattern string, parse func(name string) ([]*directive, error)) ([]*directive, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	names := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		var err error
		if names, err = s.glob(pattern); err != nil {
			return nil, err
		}
	}
	var all []*directive
	for _, name := range names {
		found, err := s.parse(name, parse)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// parse parses one file.
func (s *source) parse(name string, parse func(name string) ([]*directive, error)) ([]*directive, error) {
	name = filepath.Clean(name)
	if err := s.enter(name); err != nil {
		return nil, err
	}
	defer s.leave()
	return parse(name)
}

// syntaxError is a mistake in a source file.
func (s *source) syntaxError(name string, line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", s.short(name), line, fmt.Sprintf(format, args...))
}

var errDepth = errors.New("blocks in blocks are too deep")
