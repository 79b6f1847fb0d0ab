package directory

import (
	"fmt"
	"strconv"
	"strings"
)

// Set gives one part of the entry, by the names that map files, columns and attributes have for them: user, database,
// server, mode and max_connections. Each may be given once, with a value.
func (e *Entry) Set(key, value string) error {
	var to *string
	switch key {
	case "user":
		to = &e.User
	case "database":
		to = &e.Database
	case "server":
		to = &e.Server
	case "mode":
		return e.setMode(value)
	case "max_connections":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 || e.MaxConnections != 0 {
			return fmt.Errorf("max_connections must be a number from 1, given once, not %q", value)
		}
		e.MaxConnections = int(n)
		return nil
	default:
		return fmt.Errorf("unknown key %q: the keys are user, database, server, mode, max_connections", key)
	}
	if value == "" || *to != "" {
		return fmt.Errorf("%s must be given once, with a value", key)
	}
	*to = value
	return nil
}

// modes are the names that directories have for them.
var modes = map[string]Mode{"passthrough": ModePassthrough, "master": ModeMaster}

func (e *Entry) setMode(value string) error {
	mode, ok := modes[value]
	if !ok || e.Mode != ModeDefault {
		return fmt.Errorf("mode must be passthrough or master, given once, not %q", value)
	}
	e.Mode = mode
	return nil
}

// Field returns what a question has under a name that queries and filters may use: user, login, and local and domain,
// which are what stands before and behind user's "@".
func (q Query) Field(name string) (value string, ok bool) {
	local, domain := q.User, ""
	if at := strings.LastIndexByte(q.User, '@'); at >= 0 {
		local, domain = q.User[:at], q.User[at+1:]
	}
	switch name {
	case "user":
		return q.User, true
	case "login":
		return q.Login, true
	case "local":
		return local, true
	case "domain":
		return domain, true
	}
	return "", false
}

// Template is a text with fields of a question in it, each written {name}.
type Template struct {
	texts  []string // one more than fields
	fields []string
}

// ParseTemplate reads a template. A brace that begins no field is an error, and so is a template without any.
func ParseTemplate(text string) (Template, error) {
	var t Template
	for {
		before, rest, open := strings.Cut(text, "{")
		t.texts = append(t.texts, before)
		if !open {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if _, ok := (Query{}).Field(name); !closed || !ok {
			return t, fmt.Errorf("{%.20s}: the placeholders are {user}, {login}, {local} and {domain}", name)
		}
		t.fields, text = append(t.fields, name), after
	}
	if len(t.fields) == 0 {
		return t, fmt.Errorf("no {user} in it: the answer would be the same for every user")
	}
	return t, nil
}

// Texts returns the texts between the fields, one more than there are fields, and the fields' names. They are not to
// be changed.
func (t Template) Texts() (texts, fields []string) { return t.texts, t.fields }

// Fill returns the text for a question, each field as escape makes it.
func (t Template) Fill(q Query, escape func(string) string) string {
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i < len(t.fields) {
			value, _ := q.Field(t.fields[i])
			b.WriteString(escape(value))
		}
	}
	return b.String()
}
