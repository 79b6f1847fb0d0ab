package configs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

var durationType = reflect.TypeFor[time.Duration]()

// field is one key of a configuration with its value.
type field struct {
	path  string
	value reflect.Value
	tag   reflect.StructTag
}

// walk visits every key of the struct v and of the structs in it, outer keys first, in the order of the types; maps in
// the order of names. Values in maps are copies: to change one, visit has to change the map itself.
func walk(path string, v reflect.Value, visit func(field)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		at := field{join(path, name), v.Field(i), f.Tag}
		visit(at)
		walkInto(at, visit)
	}
}

func walkInto(at field, visit func(field)) {
	switch at.value.Kind() {
	case reflect.Struct:
		walk(at.path, at.value, visit)
	case reflect.Slice:
		if at.value.Type().Elem().Kind() != reflect.Struct {
			return
		}
		for i := range at.value.Len() {
			walk(item(at.path, i), at.value.Index(i), visit)
		}
	case reflect.Map:
		if at.value.Type().Elem().Kind() != reflect.Struct {
			return
		}
		names := slices.Sorted(maps.Keys(textKeys(at.value)))
		for _, name := range names {
			walk(join(at.path, name), at.value.MapIndex(reflect.ValueOf(name)), visit)
		}
	}
}

func textKeys(m reflect.Value) map[string]bool {
	names := make(map[string]bool, m.Len())
	for _, k := range m.MapKeys() {
		names[k.String()] = true
	}
	return names
}

// keysOf returns the key names of a struct type.
func keysOf(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// fieldOf returns the field of a struct that has the key name.
func fieldOf(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i)
		}
	}
	panic("configs: " + v.Type().Name() + " has no key " + name) // callers ask for names of keysOf
}

// Key describes one key of the configuration file.
type Key struct {
	Path    string // for example "settings.banner", "listeners[].tls", "databases.<name>.copies"
	Type    string // text, file, number, duration, true/false, list, map, section, or the possible values
	Default string // in the form of the file; "" if there is none
	Range   string // "low..high"; "" if there is no bound
	Reload  bool   // a reload applies a change; otherwise a restart does
}

// Keys lists every key of the configuration file in the order of the types.
func Keys() []Key {
	specimen := Default()
	fill(reflect.ValueOf(specimen).Elem())
	names := strings.NewReplacer(`"<name>"`, "<name>", "[0]", "[]")

	var keys []Key
	walk("", reflect.ValueOf(specimen).Elem(), func(f field) {
		keys = append(keys, Key{
			Path:    names.Replace(f.path),
			Type:    typeName(f),
			Default: defaultText(f),
			Range:   f.tag.Get("range"),
			Reload:  f.tag.Get("reload") != "no",
		})
	})
	return keys
}

// fill gives each list and map of sections in v one element with its defaults; in a map, under the name <name>.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("yaml") != "" {
				fill(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Map:
		if v.Type().Elem().Kind() != reflect.Struct {
			return
		}
		element := newElement(v.Type().Elem())
		fill(element)
		if v.Kind() == reflect.Slice {
			v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), element))
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("<name>"), element)
	}
}

// typeName names the type of a key in the words of the reference.
func typeName(f field) string {
	if c, ok := f.value.Interface().(choice); ok {
		return strings.Join(c.choices(), ", ")
	}
	if f.value.Type() == durationType {
		return "duration"
	}
	if f.value.Type() == sizeType {
		return "size"
	}
	switch f.value.Kind() {
	case reflect.Bool:
		return "true/false"
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "map"
	case reflect.Struct:
		return "section"
	default:
		if f.tag.Get("file") != "" {
			return "file"
		}
		return "text"
	}
}

func defaultText(f field) string {
	switch f.value.Kind() {
	case reflect.Slice, reflect.Map, reflect.Struct:
		return ""
	default:
		return scalarText(f.value)
	}
}

// NeedsRestart lists the keys that differ between two configurations and that a reload cannot apply. A list or map
// counts as one key.
func NeedsRestart(running, wanted *Config) []string {
	was := fixed(running)
	var changed []string
	for path, value := range fixed(wanted) {
		if !reflect.DeepEqual(value, was[path]) {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed
}

// fixed returns the values only a restart takes, each at its outermost key.
func fixed(c *Config) map[string]any {
	values := make(map[string]any)
	walk("", reflect.ValueOf(c).Elem(), func(f field) {
		if f.tag.Get("reload") == "no" && !strings.Contains(f.path, "[") {
			values[f.path] = f.value.Interface()
		}
	})
	return values
}
