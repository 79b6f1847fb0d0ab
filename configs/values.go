package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Difference is a key that two configurations give different values.
type Difference struct {
	Path     string // such as "settings.banner" or `listeners["0.0.0.0:993"].tls`
	Was, Now string // in the form of the file, without the user parts of URLs; "" where a configuration lacks the key
	Restart  bool   // only a restart applies the change
}

// Differences lists the keys with different values, in the order of the types.
func Differences(was, now *Config) []Difference {
	before, after := values(was), values(now)
	var all []Difference
	for _, v := range merged(before, after) {
		old, new := before.texts[v], after.texts[v]
		if old != new {
			all = append(all, Difference{Path: v, Was: withoutUserInfo(old), Now: withoutUserInfo(new),
				Restart: before.fixed[v] || after.fixed[v]})
		}
	}
	return all
}

// flat is a configuration as a list of keys with one value each.
type flat struct {
	paths []string
	texts map[string]string
	fixed map[string]bool // only a restart applies a change
}

func values(c *Config) *flat {
	f := &flat{texts: make(map[string]string), fixed: make(map[string]bool)}
	byAddress := c.listenersByAddress()
	walk("", reflect.ValueOf(c).Elem(), func(at field) { f.add(byAddress.Replace(at.path), at.value, at.tag) })
	return f
}

// listenersByAddress replaces the place of a listener in a path by its address, which stays when listeners before it
// are removed.
func (c *Config) listenersByAddress() *strings.Replacer {
	var names []string
	known := make(map[string]int)
	for i, l := range c.Listeners {
		name := strconv.Quote(l.Address)
		if known[l.Address]++; known[l.Address] > 1 {
			name += " " + strconv.Itoa(known[l.Address])
		}
		names = append(names, item("listeners", i), "listeners["+name+"]")
	}
	return strings.NewReplacer(names...)
}

// add adds a key that has no keys below it. The address of a listener is in the path.
func (f *flat) add(path string, v reflect.Value, tag reflect.StructTag) {
	if strings.HasPrefix(path, "listeners[") && strings.HasSuffix(path, ".address") {
		return
	}
	text := ""
	switch v.Kind() {
	case reflect.Struct:
		return
	case reflect.Slice, reflect.Map:
		if v.Type().Elem().Kind() == reflect.Struct {
			return
		}
		if v.Len() > 0 { // an empty list is the same as none
			text = strings.ReplaceAll(fmt.Sprintf("%q", v.Interface()), `" "`, `", "`)
			text = strings.TrimPrefix(text, "map")
		}
	default:
		text = scalarText(v)
	}
	f.paths, f.texts[path], f.fixed[path] = append(f.paths, path), text, tag.Get("reload") == "no"
}

// merged lists the paths of both, those that only the second has behind those that both have.
func merged(a, b *flat) []string {
	all := a.paths[:len(a.paths):len(a.paths)]
	for _, path := range b.paths {
		if _, known := a.texts[path]; !known {
			all = append(all, path)
		}
	}
	return all
}

// AsRunning returns the configuration as a process has it that was started with another one: with the values of that
// one where only a restart applies a change.
func (c *Config) AsRunning(started *Config) *Config {
	running := *c
	keepFixed(reflect.ValueOf(&running).Elem(), reflect.ValueOf(started).Elem())
	return &running
}

func keepFixed(into, from reflect.Value) {
	for i := range into.NumField() {
		switch tag := into.Type().Field(i).Tag; {
		case tag.Get("yaml") == "":
		case tag.Get("reload") == "no":
			into.Field(i).Set(from.Field(i))
		case into.Field(i).Kind() == reflect.Struct:
			keepFixed(into.Field(i), from.Field(i))
		}
	}
}
