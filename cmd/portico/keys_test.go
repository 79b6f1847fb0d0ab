package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"portico/configs"
)

// TestKeysAreRead: code outside configs reads the field of each key, by itself or through a method of configs. A key
// that nobody reads does nothing, and an operator would not learn of it.
func TestKeysAreRead(t *testing.T) {
	fields := make(map[string]string)
	fieldsOf(reflect.TypeFor[configs.Config](), fields)
	if len(fields) < 100 {
		t.Fatalf("only %d fields are found", len(fields))
	}
	read := readFields(t)
	for name, key := range fields {
		if !read[name] {
			t.Errorf("no code outside configs reads the key %s: field %s", key, name)
		}
	}
}

// fieldsOf collects the fields with a key, as TYPE.FIELD, and the key.
func fieldsOf(of reflect.Type, fields map[string]string) {
	switch of.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		fieldsOf(of.Elem(), fields)
	case reflect.Struct:
		for field := range of.Fields() {
			if key := field.Tag.Get("yaml"); key != "" {
				fields[of.Name()+"."+field.Name] = key
				fieldsOf(field.Type, fields)
			}
		}
	}
}

const configsPath = "portico/configs"

// importerPath is the package that fills keys in and runs no Portico.
const importerPath = configsPath + "/importer"

// onlyChecks are the methods that read keys and do nothing with them but judge them.
var onlyChecks = map[string]bool{"Validate": true, "Warnings": true, "SettingsWarnings": true}

// listed is what go list says of a package.
type listed struct{ path, export, dir, files, imports string }

// listPackages lists the program's packages, with their compiled form.
func listPackages() (all []listed, err error) {
	const format = `{{.ImportPath}}{{"\t"}}{{.Export}}{{"\t"}}{{.Dir}}{{"\t"}}{{join .GoFiles " "}}` +
		`{{"\t"}} {{join .Imports " "}} `
	text, err := exec.Command("go", "list", "-pgo=off", "-export", "-deps", "-f", format, ".").Output()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		part := strings.Split(line, "\t")
		all = append(all, listed{part[0], part[1], part[2], part[3], part[4]})
	}
	return all, nil
}

// source is a package of the program with the types of its expressions.
type source struct {
	path  string
	files []*ast.File
	info  *types.Info
}

// sources returns package configs and those that import it, but for the importer. They are read once.
func sources(t *testing.T) []source {
	t.Helper()
	all, err := readSources()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var readSources = sync.OnceValues(func() (all []source, err error) {
	packages, err := listPackages()
	if err != nil {
		return nil, err
	}
	exports := make(map[string]string)
	for _, p := range packages {
		exports[p.path] = p.export
	}
	fset := token.NewFileSet()
	compiled := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	for _, p := range packages {
		if p.path != configsPath && !strings.Contains(p.imports, " "+configsPath+" ") || p.path == importerPath {
			continue
		}
		of := source{path: p.path, info: &types.Info{Types: make(map[ast.Expr]types.TypeAndValue),
			Selections: make(map[*ast.SelectorExpr]*types.Selection)}}
		for _, name := range strings.Fields(p.files) {
			file, err := parser.ParseFile(fset, filepath.Join(p.dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			of.files = append(of.files, file)
		}
		if _, err := compiled.Check(p.path, fset, of.files, of.info); err != nil {
			return nil, err
		}
		all = append(all, of)
	}
	return all, nil
})

// readFields returns the fields that the packages outside configs read.
func readFields(t *testing.T) map[string]bool {
	t.Helper()
	r := reader{make(map[string]bool), make(map[string]bool)}
	var own source
	for _, of := range sources(t) {
		if of.path == configsPath {
			own = of
			continue
		}
		for _, file := range of.files {
			r.look(file, of.info)
		}
	}
	r.lookInMethods(own.files, own.info)
	return r.fields
}

// reader collects what code reads of the configuration.
type reader struct {
	fields  map[string]bool // TYPE.FIELD
	methods map[string]bool // TYPE.METHOD, of configs
}

// lookInMethods looks into the methods of configs that are called, until they call no other.
func (r reader) lookInMethods(files []*ast.File, info *types.Info) {
	looked := make(map[string]bool)
	for before := -1; before != len(looked); {
		before = len(looked)
		for _, file := range files {
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok || f.Recv == nil || onlyChecks[f.Name.Name] {
					continue
				}
				name := typeName(info.TypeOf(f.Recv.List[0].Type)) + "." + f.Name.Name
				if r.methods[name] && !looked[name] {
					looked[name] = true
					r.look(f.Body, info)
				}
			}
		}
	}
}

// look collects what a piece of code reads.
func (r reader) look(code ast.Node, info *types.Info) {
	ast.Inspect(code, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if s := info.Selections[n]; s != nil {
				r.selected(s)
			}
		case *ast.CallExpr: // a conversion to another struct takes all fields over
			if len(n.Args) == 1 && info.Types[n.Fun].IsType() {
				from := info.TypeOf(n.Args[0])
				if of, ok := from.Underlying().(*types.Struct); ok {
					for field := range of.Fields() {
						r.fields[typeName(from)+"."+field.Name()] = true
					}
				}
			}
		}
		return true
	})
}

// selected notes the fields on the way to what is selected, and the method.
func (r reader) selected(s *types.Selection) {
	of, path := s.Recv(), s.Index()
	if s.Kind() != types.FieldVal {
		path = path[:len(path)-1]
	}
	for _, i := range path {
		if pointer, ok := of.Underlying().(*types.Pointer); ok {
			of = pointer.Elem()
		}
		field := of.Underlying().(*types.Struct).Field(i)
		r.fields[typeName(of)+"."+field.Name()] = true
		of = field.Type()
	}
	if s.Kind() != types.FieldVal {
		r.methods[typeName(of)+"."+s.Obj().Name()] = true
	}
}

// typeName is the name of a type of configs, or of what a pointer points at; "" for other types.
func typeName(of types.Type) string {
	if pointer, ok := of.(*types.Pointer); ok {
		of = pointer.Elem()
	}
	if named, ok := types.Unalias(of).(*types.Named); ok && named.Obj().Pkg() != nil &&
		named.Obj().Pkg().Path() == configsPath {
		return named.Obj().Name()
	}
	return ""
}
