package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bans keep the layers apart. A package, or with "/..." a tree, must not need another, by whatever way through our own
// packages.
var bans = []struct{ from, to, why string }{
	{"portico/...", commands, "the command knows everything, so nothing may know it"},
	{"portico/cmd/portico/cli", "portico/cmd/portico/node",
		"the command line asks a Portico as anybody does, over HTTP: what it can do, a script can"},
	{"portico/cmd/portico/node", "portico/cmd/portico/cli", "a Portico runs without a terminal"},
	{"portico/cmd/portico/node", "portico/cmd/portico/demo", "the demo's Portico is one like any other"},
	{"portico/cmd/portico/demo", "portico/cmd/portico/node", "the demo gets its Portico from the command"},
	{"portico/cmd/portico/...", "portico/bench/peers/...",
		"comparing Portico with other proxies is for its developers: the program does not carry that along"},
	{"portico/configs", "portico/proxy/...", "the file's words are everybody's: they must not drag the parts along"},
	{"portico/configs", "portico/backend/...", "the file's words are everybody's: they must not drag the parts along"},
	{"portico/configs", "portico/health/...", "the file's words are everybody's: they must not drag the parts along"},
	{"portico/configs", "portico/protolog", "the file's words are everybody's: they must not drag the parts along"},
	{"portico/configs", "portico/bench/...", "the file's words are everybody's: they must not drag the parts along"},
	{"portico/configs", "portico/configs/store",
		"the file's words are everybody's: they must not drag the parts along"},
	{"portico/configs", "portico/configs/importer", "only the command makes configurations from others"},
	{"portico/configs/importer", "portico/backend/...", "it translates files, and knows Portico's by its keys alone"},
	{"portico/configs/importer", "portico/proxy/...", "the same"},
	{"portico/configs/importer", "portico/health/...", "the same"},
	{"portico/configs/importer", "net/http", "it asks nobody"},
	{"portico/configs/importer", "database/sql", "it asks nobody"},
	{"portico/configs/suggest", "portico/...", "it knows words alone"},
	{"portico/configs/store", "portico/...", "it keeps keys and bytes and does not know what they mean"},
	{"portico/configs/store", "go.etcd.io/etcd/...", "who keeps all on one node carries no client of etcd along"},

	{"portico/proxy/wire", "portico/...", "the grammar stands on its own"},
	{"portico/proxy/wire", "net", "it reads and writes through io: tests need no socket"},
	{"portico/proxy/wire", "time", "it has no clock: the same bytes give the same answer"},
	{"portico/proxy/wire", "log", "it sees passwords"},
	{"portico/proxy/wire", "log/slog", "it sees passwords"},
	{"portico/proxy/wire", "github.com/...",
		"libraries for metrics and logs do not belong in the grammar, or a fuzzer's way"},

	{"portico/proxy/relay", "portico/backend/...", "it is handed connections and knows no sign-in"},
	{"portico/proxy/relay", "portico/configs/...", "its options are passed in"},
	{"portico/proxy/relay", "portico/health/...", "health reads what the relay counts, not the other way round"},
	{"portico/proxy/relay", "github.com/...",
		"counters are plain fields of a loop; a library would bring locks to the hot path"},

	{"portico/backend", "portico/proxy", "the way to the servers is used by probes too, without a front end"},
	{"portico/backend", "portico/proxy/relay", "what happens after sign-in is not its business"},
	{"portico/backend", "portico/configs", "its options are passed in"},
	{"portico/backend", "portico/health/...", "probes use the servers; backend knows health mailboxes by name alone"},
	{"portico/backend", "github.com/rs/zerolog", "it returns errors; the session's top frame logs them"},
	{"portico/backend", "github.com/prometheus/...", "it reports durations through a callback"},

	{"portico/backend/move", "portico/backend", "it moves names between names, whoever lets users in"},
	{"portico/backend/move", "net", "it knows the store alone"},
	{"portico/backend/move", "github.com/...", "the same"},
	{"portico/backend/move", "go.etcd.io/etcd/...", "the same: whichever store"},

	{"portico/cluster", "net", "it knows the store alone"},
	{"portico/cluster", "github.com/...", "the same"},
	{"portico/cluster", "go.etcd.io/etcd/...", "the same: whichever store"},
	{"portico/cluster", "portico/backend/...", "it does not know what nodes agree on"},
	{"portico/cluster/seal", "portico/backend/...", "it does not know what it seals"},
	{"portico/cluster/seal", "github.com/...", "it sees secrets: the standard library has all that it needs"},
	{"portico/cluster/seal", "go.etcd.io/etcd/...", "the same"},

	{"portico/cluster/counts", "portico/proxy/...", "it does not know what nodes count"},
	{"portico/cluster/counts", "github.com/...", "the same"},
	{"portico/cluster/counts", "go.etcd.io/etcd/...", "whichever store"},
	{"portico/cluster/keyring", "crypto/tls", "it does not know what the keys seal"},
	{"portico/cluster/keyring", "github.com/...", "it sees secrets: the standard library has all that it needs"},
	{"portico/cluster/keyring", "go.etcd.io/etcd/...", "whichever store"},

	{"portico/sleep", "portico/...", "it waits, whatever for"},
	{"portico/fleet", "portico/...", "it asks nodes, whatever for"},
	{"portico/fleet", "github.com/...", "the same"},

	{"portico/proxy/poll", "portico/...", "it waits, whatever for"},
	{"portico/proxy/setup", "portico/proxy", "it has turns and connections, whoever they are for"},
	{"portico/proxy/setup", "portico/proxy/relay", "a connection leaves it for good, wherever it goes"},
	{"portico/proxy/setup", "portico/proxy/wire", "it does not know what is said"},
	{"portico/proxy/setup", "portico/backend/...", "it does not know whom it connects to"},
	{"portico/proxy/setup", "github.com/...", "it runs beneath everything that signs in"},

	{"portico/backend/directory/...", "portico/proxy/...", "who a user is depends on no protocol"},
	{"portico/backend/directory/...", "portico/configs", "its options are passed in"},
	{"portico/backend/directory/...", "github.com/rs/zerolog", "it sees passwords, and returns errors"},
	{"portico/backend", "portico/backend/directory/httpdir",
		"the command chooses the sources; whoever needs none carries none along"},
	{"portico/backend", "portico/backend/directory/sqldir", "the same"},
	{"portico/backend", "portico/backend/directory/ldapdir", "the same"},

	{"portico/protolog", "portico/proxy/relay", "events come to it from anywhere; it does not know of loops"},
	{"portico/protolog", "portico/proxy", "the same"},
	{"portico/protolog", "portico/backend/...", "it sees names, not how they are found"},
	{"portico/protolog", "portico/configs/...", "its settings and rules are passed in"},
	{"portico/protolog", "portico/health/...", "health asks the log how it is, not the other way round"},
	{"portico/proxy/relay", "portico/protolog", "it tells whoever watches, and does not know what becomes of it"},

	{"portico/proxy/...", "portico/configs", "its settings are passed in"},
	{"portico/proxy/...", "portico/health/...", "health reads what the proxy counts, not the other way round"},

	{"portico/proxy/...", "portico/backend/backendtest", "servers for tests are not part of the front end"},
	{"portico/health", "portico/proxy",
		"what it looks at is passed in: probes come from the clients' side, like everybody"},
	{"portico/health", "portico/health/admin", "it does not know who asks it"},
	{"portico/health/console", "portico/...", "it runs in a browser, and asks the API as anybody does"},
	{"portico/health/catalogue", "portico/...", "it is a table, which the command line and every package may read"},
	{"portico/health", "portico/health/components", "health judges; what operators set is kept by packages above it"},
	{"portico/health", "portico/health/overrides", "the same"},
	{"portico/health", "portico/health/repairing", "the same"},
	{"portico/health", "portico/health/witness", "the same"},
	{"portico/health", "portico/health/maintenance", "the same"},
	{"portico/health/components", "portico/health/admin", "it does not know who asks it"},
	{"portico/health/overrides", "portico/health/admin", "it does not know who asks it"},
	{"portico/health/repairing", "portico/health/admin", "it does not know who asks it"},
	{"portico/health/maintenance", "portico/health/admin", "it does not know who asks it"},
	{"portico/health/components", "portico/configs", "what it keeps is set by command, not by the file"},
	{"portico/health/overrides", "portico/configs", "what it keeps is set by command, not by the file"},
	{"portico/health/repairing", "portico/configs", "what it keeps is set by command, not by the file"},
	{"portico/health/maintenance", "portico/configs", "what it keeps is set by command, not by the file"},
	{"portico/health/recovery", "portico/proxy", "it decides what is to be done; how is passed in"},
	{"portico/health/recovery", "portico/configs", "its plan is passed in"},
	{"portico/health/recovery", "portico/health/admin", "it does not know who asks it"},
	{"portico/health/...", "portico/backend/backendtest", "servers for tests have no place in health"},
	{"portico/...", "testing", "what is shipped holds no test code; the servers of the demo are in it"},
	{"portico/proxy/...", "github.com/emersion/...",
		"the library has its own view of IMAP; the proxy moves bytes it has not understood"},
	{"portico/backend", "github.com/emersion/...", "sign-in is our own conversation, bounded at every step"},
}

// commands are the program and its own parts, which may import each other.
const commands = "portico/cmd/..."

// testOnly are packages that only test files import.
const testOnly = "portico/backend/backendtest/testkit/..."

func TestImports(t *testing.T) {
	graph := importGraph(t)
	for _, ban := range bans {
		matched := false
		for from := range graph {
			if !inTree(ban.from, from) || inTree(testOnly, from) || ban.to == commands && inTree(commands, from) {
				continue
			}
			matched = true
			if way := wayTo(graph, from, ban.to); way != nil {
				t.Errorf("%s: %s", strings.Join(way, " -> "), ban.why)
			}
		}
		if !matched {
			t.Errorf("there is no package %s to ban from %s", ban.from, ban.to)
		}
	}
}

// The test above is worth something only if it finds ways.
func TestWayTo(t *testing.T) {
	graph := map[string][]string{
		"portico/a": {"portico/b", "net"}, "portico/b": {"portico/c/d"},
		"portico/c/d": {"portico/a", "github.com/x/y"},
	}
	for to, want := range map[string]string{
		"net":             "portico/a net",
		"portico/c/...":   "portico/a portico/b portico/c/d",
		"github.com/...":  "portico/a portico/b portico/c/d github.com/x/y",
		"portico/a":       "",
		"portico/c":       "",
		"portico/b/...":   "portico/a portico/b",
		"github.com/x/yz": "",
	} {
		if got := strings.Join(wayTo(graph, "portico/a", to), " "); got != want {
			t.Errorf("to %s: %q, want %q", to, got, want)
		}
	}
}

// inTree tells whether a package is the one, or in the tree, that pattern names.
func inTree(pattern, pkg string) bool {
	root, tree := strings.CutSuffix(pattern, "/...")
	return pkg == root || tree && strings.HasPrefix(pkg, root+"/")
}

// wayTo returns the imports that lead from one package to another, through our own; nil if there are none. A package
// is no way to itself, nor to the tree it is the root of.
func wayTo(graph map[string][]string, from, to string) []string {
	seen := map[string]bool{from: true}
	ways := [][]string{{from}}
	for len(ways) > 0 {
		way := ways[0]
		ways = ways[1:]
		for _, next := range graph[way[len(way)-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(way), next)
			if inTree(to, next) {
				return longer
			}
			ways = append(ways, longer)
		}
	}
	return nil
}

// importGraph reads the imports of all packages, test files left out, for every system.
func importGraph(t *testing.T) map[string][]string {
	t.Helper()
	root := filepath.Join("..", "..")
	sets := make(map[string]map[string]bool)
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); file != root && (strings.HasPrefix(name, ".") && name != ".." ||
				name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := path.Join("portico", filepath.ToSlash(dir))
		if sets[pkg] == nil {
			sets[pkg] = make(map[string]bool)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			sets[pkg][name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	graph := make(map[string][]string)
	for pkg, set := range sets {
		graph[pkg] = slices.Sorted(maps.Keys(set))
	}
	return graph
}
