package admin

import (
	"strings"
	"testing"
)

// changingRoutes lists the paths of the requests that change something.
func changingRoutes(t *testing.T) (routes []string) {
	t.Helper()
	for path, item := range allOperations().Paths {
		if item.Post != nil {
			routes = append(routes, strings.TrimPrefix(path, prefix))
		}
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
