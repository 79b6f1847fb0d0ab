package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one error or warning about a configuration.
type Problem struct {
	File    string // the name that Load got; "" for a configuration made in code
	Line    int    // from 1; 0 if there is no file
	Column  int    // from 1; 0 if there is no file
	Path    string // the key, such as "settings.banner" or "listeners[1].tls"
	Message string
	Warning bool // the configuration works nevertheless
}

// Error returns the problem as one line: file:line:column: key: message. It hides the user part of URLs.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	} else if p.File != "" {
		b.WriteString(p.File + ": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return withoutUserInfo(b.String())
}

// Problems are sorted by their position in the file.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns all problems, including warnings, if at least one is an error. Otherwise it returns nil.
func (ps Problems) Err() error {
	if len(ps.Errors()) == 0 {
		return nil
	}
	return ps
}

// Errors returns the problems that prevent the use of the configuration.
func (ps Problems) Errors() Problems { return ps.filter(false) }

// Warnings returns the other problems.
func (ps Problems) Warnings() Problems { return ps.filter(true) }

func (ps Problems) filter(warning bool) Problems {
	var out Problems
	for _, p := range ps {
		if p.Warning == warning {
			out = append(out, p)
		}
	}
	return out
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
}
