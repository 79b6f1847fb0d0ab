package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"portico/configs/suggest"
)

// decoder sets a configuration from a YAML tree. Unlike a general decoder, it continues after an error, so that one
// run reports all, and it records the position of each value.
type decoder struct {
	*source
	problems Problems
}

func (d *decoder) fail(path string, at position, format string, args ...any) {
	d.broken[path] = true
	d.problems = append(d.problems, Problem{
		File: d.file, Line: at.line, Column: at.column,
		Path: path, Message: fmt.Sprintf(format, args...),
	})
}

// value reads node into the settable value into.
func (d *decoder) value(path string, node ast.Node, into reflect.Value) {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.fail(path, startOf(node), "anchors, aliases and tags are not supported")
		return
	case *ast.NullNode: // for example a section whose keys are all commented out
		switch into.Kind() {
		case reflect.Struct, reflect.Map, reflect.Slice:
		default:
			d.fail(path, startOf(node), "has no value: give one or remove the key")
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		d.section(path, node, into)
	case reflect.Map:
		d.dictionary(path, node, into)
	case reflect.Slice:
		d.list(path, node, into)
	default:
		d.scalar(path, node, into)
	}
}

func (d *decoder) section(path string, node ast.Node, into reflect.Value) {
	known := keysOf(into.Type())
	d.entries(path, node, func(key, at string, where position, value ast.Node) {
		if slices.Contains(known, key) {
			d.value(at, value, fieldOf(into, key))
			return
		}
		message := "unknown key"
		if near := suggest.Nearest(strings.ToLower(key), known); near != "" {
			message += "; did you mean " + near + "?"
			d.broken[join(path, near)] = true // the key is probably there, with a wrong spelling
		}
		d.fail(at, where, "%s", message)
	})
}

func (d *decoder) dictionary(path string, node ast.Node, into reflect.Value) {
	if into.IsNil() {
		into.Set(reflect.MakeMap(into.Type()))
	}
	d.entries(path, node, func(key, at string, _ position, value ast.Node) {
		element := newElement(into.Type().Elem())
		d.value(at, value, element)
		into.SetMapIndex(reflect.ValueOf(key), element)
	})
}

// entries calls each for every key of a mapping. It reports a repeated key as an error.
func (d *decoder) entries(path string, node ast.Node, each func(key, at string, where position, value ast.Node)) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		d.fail(path, startOf(node), "must be a mapping (key: value), not %s", kindOf(node))
		return
	}
	first := make(map[string]position)
	for it := mapping.MapRange(); it.Next(); {
		where := startOf(it.Key())
		name, ok := keyText(it.Key())
		if !ok {
			d.fail(path, where, "a key must be a plain word")
			continue
		}
		at := join(path, name)
		if before, twice := first[name]; twice {
			d.fail(at, where, "given twice; first on line %d", before.line)
			continue
		}
		first[name] = where
		d.locations[at] = location{key: where, value: startOf(it.Value())}
		each(name, at, where, it.Value())
	}
}

func (d *decoder) list(path string, node ast.Node, into reflect.Value) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fail(path, startOf(node), "must be a list, not %s", kindOf(node))
		return
	}
	into.SetLen(0)
	for i, child := range sequence.Values {
		at := item(path, i)
		d.locations[at] = location{startOf(child), startOf(child)}
		element := newElement(into.Type().Elem())
		if _, empty := child.(*ast.NullNode); empty {
			d.fail(at, startOf(child), "is empty")
		} else {
			d.value(at, child, element)
		}
		into.Set(reflect.Append(into, element))
	}
}

func (d *decoder) scalar(path string, node ast.Node, into reflect.Value) {
	text, ok := scalarOf(node, into)
	if !ok {
		d.fail(path, startOf(node), "must be %s, not %s", wantedKind(into), kindOf(node))
		return
	}
	if err := setScalar(into, text); err != nil {
		d.fail(path, startOf(node), "%s", err)
	}
}

// scalarOf returns the text of a node, and whether into accepts its kind. A choice may look like a number
// (min_version: 1.2). Plain text may not, because YAML would have changed it (banner: 1e3).
func scalarOf(node ast.Node, into reflect.Value) (string, bool) {
	_, closed := into.Interface().(choice)
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, into.Kind() == reflect.String || into.Type() == durationType || into.Type() == sizeType
	case *ast.LiteralNode:
		return n.Value.Value, into.Kind() == reflect.String
	case *ast.FloatNode:
		return n.Token.Value, closed
	case *ast.IntegerNode:
		return n.Token.Value, closed || into.Kind() == reflect.Int || into.Type() == durationType ||
			into.Type() == sizeType
	case *ast.BoolNode:
		return n.Token.Value, into.Kind() == reflect.Bool
	default:
		return "", false
	}
}

func newElement(t reflect.Type) reflect.Value {
	pointer := reflect.New(t)
	if d, ok := pointer.Interface().(defaulter); ok {
		d.setDefaults()
	}
	return pointer.Elem()
}
