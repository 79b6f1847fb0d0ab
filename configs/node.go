package configs

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// startOf returns where a node begins. A block mapping begins at its first
// key; its own token is the colon.
func startOf(node ast.Node) position {
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return startOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return startOf(n.Key)
	}
	tk := node.GetToken()
	if tk == nil || tk.Position == nil {
		return position{1, 1}
	}
	return position{tk.Position.Line, tk.Position.Column}
}

func keyText(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return k.GetToken().Value, true
	default: // complex keys, merge keys, anchors, null
		return "", false
	}
}

// kindOf names a node in the words of an error message.
func kindOf(node ast.Node) string {
	switch n := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + n.GetToken().Value
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.NullNode:
		return "empty"
	case *ast.StringNode:
		return fmt.Sprintf("the text %.40q", withoutUserInfo(n.Value))
	default:
		return "text"
	}
}

// wantedKind names what a scalar must be.
func wantedKind(v reflect.Value) string {
	if c, ok := v.Interface().(choice); ok {
		return "one of " + strings.Join(c.choices(), ", ")
	}
	if v.Type() == durationType {
		return "a duration such as 90s, 30m or 00:30:00"
	}
	if v.Type() == sizeType {
		return "a size such as 65536, 64KB, 10MB or unlimited"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "text (quote it)"
	}
}
