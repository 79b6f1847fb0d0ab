package admin

import (
	"go/ast"
	"go/constant"
	"go/parser"
	gotoken "go/token"
	"go/types"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// changingRoutes lists what the package's source registers for other methods than GET.
// changingRoutes lists the paths of the requests that change something, as the source registers them.
func changingRoutes(t *testing.T) (routes []string) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := gotoken.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	config := types.Config{Error: func(error) {}} // without imports, constants are known all the same
	config.Check("admin", fset, files, info)
	valueOf := func(e ast.Expr) string {
		if value := info.Types[e].Value; value != nil && value.Kind() == constant.String {
			return constant.StringVal(value)
		}
		return ""
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			switch f := call.Fun.(type) {
			case *ast.Ident:
				if f.Name == "change" {
					routes = append(routes, strings.TrimPrefix(valueOf(call.Args[1]), prefix))
				}
			case *ast.SelectorExpr:
				if method, path, ok := strings.Cut(valueOf(call.Args[0]), " /"); ok && f.Sel.Name == "HandleFunc" &&
					method != http.MethodGet {
					routes = append(routes, "/"+path)
				}
			}
			return true
		})
	}
	if len(routes) < 20 {
		t.Fatalf("only %d routes are found", len(routes))
	}
	return routes
}

// PathOf writes names in the places of a pattern, so that the server reads the same names.
func TestPathOf(t *testing.T) {
	for _, c := range []struct {
		pattern string
		names   []string
		want    string
	}{
		{PathServers, nil, "/api/v1/servers"},
		{PathServerBlock, []string{"a/b {c}"}, "/api/v1/servers/a%2Fb%20%7Bc%7D/block"},
		{PathProbe, []string{"IMAP", "{probe}"}, "/probes/IMAP/%7Bprobe%7D"},
	} {
		if got := PathOf(c.pattern, c.names...); got != c.want {
			t.Errorf("%s of %q is %s, want %s", c.pattern, c.names, got, c.want)
		}
	}
}
