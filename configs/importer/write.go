package importer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/configs"
)

// width is the longest line of comments and of maps in braces.
const width = 110

// writer writes a configuration in YAML: the keys that differ from their defaults, and those that have comments.
type writer struct {
	notes  map[string][]string // by key; written once
	origin map[string]string
	names  func(path string, m reflect.Value) []string // the order of a map's names
}

var durationType = reflect.TypeFor[time.Duration]()

// text is what a key holds: one word, braces or brackets behind the key, or lines below it.
type text struct {
	inline string
	lines  []string
}

func (t text) empty() bool { return t.inline == "" && len(t.lines) == 0 }

// value writes a value that differs from its default. An invalid default is that of an element of a list or a map.
func (w *writer) value(path string, v, byDefault reflect.Value) text {
	switch v.Kind() {
	case reflect.Struct:
		return w.section(path, v, byDefault)
	case reflect.Slice:
		if byDefault.IsValid() && reflect.DeepEqual(v.Interface(), byDefault.Interface()) {
			return text{}
		}
		return w.list(path, v)
	case reflect.Map:
		var lines []string
		for _, name := range w.names(path, v) {
			at := path + "." + name
			element := w.value(at, v.MapIndex(reflect.ValueOf(name)), reflect.Value{})
			lines = append(lines, w.entry(at, quote(name), element)...)
		}
		return text{lines: lines}
	}
	same := v.IsZero()
	if byDefault.IsValid() {
		same = v.Equal(byDefault)
	}
	if same && (v.IsZero() || len(w.notes[path]) == 0) {
		return text{}
	}
	return text{inline: scalar(v)}
}

func (w *writer) section(path string, v, byDefault reflect.Value) text {
	var lines, pairs []string
	short := true
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "" {
			continue
		}
		at, below := path+"."+name, reflect.Value{}
		if byDefault.IsValid() {
			below = byDefault.Field(i)
		}
		value := w.value(at, v.Field(i), below)
		if len(w.notes[at]) > 0 || w.origin[at] != "" || !value.empty() && value.inline == "" {
			short = false
		}
		if value.inline != "" {
			pairs = append(pairs, name+": "+value.inline)
		}
		lines = append(lines, w.entry(at, name, value)...)
	}
	if joined := "{" + strings.Join(pairs, ", ") + "}"; short && len(pairs) > 0 && len(joined) < width-20 {
		return text{inline: joined}
	}
	return text{lines: lines}
}

func (w *writer) list(path string, v reflect.Value) text {
	if v.Len() == 0 {
		return text{}
	}
	if v.Type().Elem().Kind() != reflect.Struct {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = scalar(v.Index(i))
		}
		return text{inline: "[" + strings.Join(words, ", ") + "]"}
	}
	var lines []string
	for i := range v.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		element := w.value(at, v.Index(i), reflect.Value{})
		lines = append(lines, w.comments(at)...)
		if element.inline != "" {
			lines = append(lines, "- "+element.inline+w.from(at))
			continue
		}
		begin := slices.IndexFunc(element.lines, func(line string) bool { return line[0] != '#' })
		for j, line := range element.lines {
			lines = append(lines, map[int]string{-1: "", 0: "- ", 1: "  "}[cmp.Compare(j, begin)]+line)
		}
	}
	return text{lines: lines}
}

// entry writes a key with its comments and its value.
func (w *writer) entry(path, name string, value text) []string {
	lines := w.comments(path)
	switch {
	case value.inline != "":
		return append(lines, name+": "+value.inline+w.from(path))
	case len(value.lines) == 0:
		return lines
	}
	lines = append(lines, name+":")
	for _, line := range value.lines {
		lines = append(lines, "  "+line)
	}
	return lines
}

// from returns the place that a key comes from, as a comment behind it.
func (w *writer) from(path string) string {
	if place, ok := w.origin[path]; ok {
		return " # " + comment(place)
	}
	return ""
}

// comments returns what there is to say at a key, once.
func (w *writer) comments(path string) (lines []string) {
	for _, note := range w.notes[path] {
		lines = append(lines, wrap(note)...)
	}
	delete(w.notes, path)
	return lines
}

// wrap writes a comment on lines that are not too long.
func wrap(note string) (lines []string) {
	line := "#"
	for _, word := range strings.Fields(comment(note)) {
		if len(line)+len(word)+1 > width && len(line) > 4 {
			lines = append(lines, line)
			line = "#  "
		}
		line += " " + word
	}
	return append(lines, line)
}

// comment makes text that comes from files fit for a comment: one line of printable characters.
func comment(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// plainWord is a word that YAML reads as text without quotes, if it is no number or truth value.
var (
	plainWord = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)
	notText   = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|y|n)$`)
)

func quote(s string) string {
	if plainWord.MatchString(s) && !notText.MatchString(s) {
		return s
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(strings.ToValidUTF8(s, "?")); err != nil {
		return `""` // a string can always be encoded
	}
	return strings.TrimSpace(b.String())
}

func scalar(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return configs.FormatDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.Type() == reflect.TypeFor[configs.TLSVersion]():
		return v.String()
	}
	return quote(v.String())
}

// yaml returns the configuration of the draft.
func (d *draft) yaml(heading string) []byte {
	w := &writer{notes: maps.Clone(d.notes), origin: d.origin, names: d.names}
	lines := wrap(heading)
	add := func(more []string) {
		if len(more) > 0 {
			lines = append(append(lines, ""), more...)
		}
	}
	config, byDefault := reflect.ValueOf(d.config).Elem(), reflect.ValueOf(configs.Default()).Elem()
	for i := range config.NumField() {
		if name := config.Type().Field(i).Tag.Get("yaml"); name != "" {
			add(w.entry(name, name, w.value(name, config.Field(i), byDefault.Field(i))))
		}
	}
	add(w.comments(""))
	for _, path := range slices.Sorted(maps.Keys(w.notes)) {
		add(w.comments(path))
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// names returns the order of a map's names: mailbox servers as in the source, others by number.
func (d *draft) names(path string, m reflect.Value) (names []string) {
	if path == "mailbox_servers" {
		for _, address := range d.order {
			names = append(names, d.hosts[address].name)
		}
		return names
	}
	for _, key := range m.MapKeys() {
		names = append(names, key.String())
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names
}
