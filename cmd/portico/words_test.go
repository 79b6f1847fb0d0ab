package main

import (
	"go/ast"
	"go/constant"
	"go/types"
	"maps"
	"slices"
	"testing"
)

// TestEveryWordIsTranslated: each type of configs with a list of words has a map, outside configs, to the values of the
// part that needs it. Each map from such a type has all words of the list. A word without a translation would
// silently become the zero value.
func TestEveryWordIsTranslated(t *testing.T) {
	all := sources(t)
	lists, translated := make(map[string][]string), make(map[string]bool)
	for _, of := range all {
		if of.path == configsPath {
			wordLists(t, of, lists)
		}
	}
	if len(lists) < 10 {
		t.Fatalf("only %d lists of words are found: %v", len(lists), slices.Sorted(maps.Keys(lists)))
	}
	for _, of := range all {
		if of.path == configsPath {
			continue
		}
		translations(of, func(list string, words map[string]bool) {
			translated[list] = true
			for _, word := range lists[list] {
				if !words[word] {
					t.Errorf("%s: a map from configs.%s has no entry for the word %q", of.path, list, word)
				}
			}
		})
	}
	for list, words := range lists {
		if !translated[list] {
			t.Errorf("configs.%s has the words %q, and no map outside configs translates them: add one to "+
				"cmd/portico/node/words.go", list, words)
		}
	}
}

// wordLists collects the words of each type with a method choices: the constants in that method.
func wordLists(t *testing.T, of source, lists map[string][]string) {
	t.Helper()
	for _, file := range of.files {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "choices" {
				continue
			}
			list := typeName(of.info.TypeOf(f.Recv.List[0].Type))
			ast.Inspect(f.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				for _, word := range call.Args {
					if value := of.info.Types[word].Value; value != nil {
						lists[list] = append(lists[list], constant.StringVal(value))
					}
				}
				return true
			})
			if len(lists[list]) < 2 {
				t.Errorf("configs.%s has the words %q: at least two constants are expected", list, lists[list])
			}
		}
	}
}

// translations calls visit for each map literal from a type of configs, with its keys.
func translations(of source, visit func(list string, words map[string]bool)) {
	for _, file := range of.files {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			m, ok := of.info.TypeOf(literal).Underlying().(*types.Map)
			if !ok || typeName(m.Key()) == "" {
				return true
			}
			words := make(map[string]bool)
			for _, entry := range literal.Elts {
				if value := of.info.Types[entry.(*ast.KeyValueExpr).Key].Value; value != nil {
					words[constant.StringVal(value)] = true
				}
			}
			visit(typeName(m.Key()), words)
			return true
		})
	}
}
