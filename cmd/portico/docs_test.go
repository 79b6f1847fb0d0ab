package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/cmd/portico/node"
	"portico/health/catalogue"
)

// root is the repository.
var root = filepath.Join("..", "..")

var link = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)

// linksIn is the least number of links to files that a page has, and of pages that have one. They guard the test: it
// would pass if it found no links.
var linksIn = map[string]int{"README.md": 8, "CHANGELOG.md": 2, "docs/README.md": 15, "docs/configuration.md": 5,
	"docs/extending.md": 15, "docs/flow.md": 20, "docs/install.md": 15, "docs/operations.md": 5,
	"docs/troubleshooting.md": 20}

const linkingPages = 10

// Files that pages name must be there, and so must the headings of pages.
func TestLinksInDocuments(t *testing.T) {
	found := make(map[string]int)
	for _, name := range append(pagesForUsers(t), "CHANGELOG.md") {
		page := filepath.Join(root, filepath.FromSlash(name))
		for _, match := range link.FindAllStringSubmatch(readPage(t, name), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			found[name]++
			target := page
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(page), filepath.FromSlash(match[1]))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if match[2] != "" && !hasHeading(t, target, strings.TrimPrefix(match[2], "#")) {
				t.Errorf("%s: %s has no heading %s", page, target, match[2])
			}
		}
	}
	wantFound(t, "links", found, linksIn)
	if len(found) < linkingPages {
		t.Errorf("only %d pages have links, want at least %d: %v", len(found), linkingPages, found)
	}
}

var (
	heading   = regexp.MustCompile("(?m)^#+ (.*)$")
	notInName = regexp.MustCompile("[^a-z0-9 _-]")
)

// hasHeading says whether a page has the heading that a link names, in the form that web sites give it.
func hasHeading(t *testing.T, page, name string) bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range heading.FindAllStringSubmatch(string(text), -1) {
		if strings.ReplaceAll(notInName.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-") == name {
			return true
		}
	}
	return false
}

// Commands that pages show must be there, with their flags, and in blocks with as many arguments.
func TestCommandsInDocuments(t *testing.T) {
	found := make(map[string]int)
	for _, name := range pagesForUsers(t) {
		for _, args := range testkit.ShownCommands(readPage(t, name)) {
			found[name]++
			if err := understood(args); err != nil {
				t.Errorf("%s: portico %s: %v", name, strings.Join(args, " "), err)
			}
		}
		for _, args := range testkit.NamedCommands(readPage(t, name)) {
			if _, err := namedBy(args); err != nil && args[0] != "COMMAND" {
				t.Errorf("%s: portico %s: %v", name, strings.Join(args, " "), err)
			}
		}
	}
	wantFound(t, "commands", found, map[string]int{"README.md": 10, "docs/bench.md": 30, "docs/health.md": 30,
		"docs/install.md": 8, "docs/operations.md": 10, "docs/protocol-log.md": 10, "docs/troubleshooting.md": 30})
}

// understood returns what the command line has against arguments, without running anything.
func understood(args []string) error {
	cmd, err := namedBy(args)
	switch {
	case err != nil:
		return err
	case !cmd.Runnable():
		return fmt.Errorf("%s does nothing by itself", cmd.CommandPath())
	}
	return errors.Join(cmd.ValidateArgs(cmd.Flags().Args()), cmd.ValidateRequiredFlags())
}

// namedBy returns the command that arguments name, with its flags read.
func namedBy(args []string) (*cobra.Command, error) {
	cmd, rest, err := cli.New(program).Find(args)
	switch {
	case err != nil:
		return nil, err
	case !cmd.Runnable() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
		return nil, fmt.Errorf("%s has no command %s", cmd.CommandPath(), rest[0])
	}
	for i, arg := range rest {
		if strings.HasPrefix(arg, "$") { // what a shell puts there
			rest[i] = "1"
		}
	}
	if err := cmd.ParseFlags(rest); !errors.Is(err, pflag.ErrHelp) {
		return cmd, err
	}
	return cmd, nil
}

// readPage reads a page, whose name is relative to the root.
func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantFound fails if a page has fewer of something than least says.
func wantFound(t *testing.T, what string, found, least map[string]int) {
	t.Helper()
	for page, want := range least {
		if found[page] < want {
			t.Errorf("%s: found %d %s, want at least %d", page, found[page], what, want)
		}
	}
}

var metricName = regexp.MustCompile("portico_[a-z_]+[a-z]")

// Metrics that pages name must be there, and docs/metrics.md has a row for each.
func TestMetricsInDocuments(t *testing.T) {
	known := metricsInCode(t)
	found := make(map[string]int)
	for _, page := range pagesForUsers(t) {
		for _, name := range metricName.FindAllString(readPage(t, page), -1) {
			found[page]++
			if !known[name] {
				t.Errorf("%s: there is no metric %s", page, name)
			}
		}
	}
	wantFound(t, "names of metrics", found, map[string]int{"README.md": 3, "docs/metrics.md": 40,
		"docs/operations.md": 15, "docs/flow.md": 1, "docs/protocol-log.md": 3, "docs/health.md": 2,
		"docs/glossary.md": 3, "docs/troubleshooting.md": 5})
	page := readPage(t, "docs/metrics.md")
	for name := range known {
		if !strings.HasPrefix(name, "portico_bench_") && !strings.Contains(page, "\n| `"+name+"` |") {
			t.Errorf("docs/metrics.md has no row for %s", name)
		}
	}
}

// Each alert of the rules for Prometheus has a row in the page for troubleshooting, and no other has.
func TestAlertsInDocuments(t *testing.T) {
	rules := readPage(t, "configs/prometheus/portico.rules.yml")
	_, section, _ := strings.Cut(readPage(t, "docs/troubleshooting.md"), "\n## An alert\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := func(pattern, text string) (all []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			all = append(all, match[1])
		}
		slices.Sort(all)
		return all
	}
	want, got := names(`(?m)^ *- alert: (\w+)$`, rules), names("(?m)^\\| `(Portico\\w+)` \\|", section)
	if len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("the page has %v, the rules %v", got, want)
	}
}

// pagesForUsers returns the pages that say what Portico does now, relative to the root.
func pagesForUsers(t *testing.T) (names []string) {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		name, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.ToSlash(name))
	}
	return names
}

// metricsInCode collects the names that code registers: whole, or behind the common prefix.
func metricsInCode(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	registered := regexp.MustCompile(`(?:(?:Name:\s*|NewDesc\()"portico_|desc\(")([a-z_]+)"`)
	for dir, prefix := range map[string]string{"proxy": "portico_", "cmd": "portico_", "health": "portico_",
		"protolog": "portico_", "bench/exporter": "portico_bench_"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, match := range registered.FindAllStringSubmatch(string(text), -1) {
				known[prefix+match[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return known
}

// TestCatalogueInDocuments: docs/health.md has a row for each probe, with its monitor, and docs/configuration.md names
// the monitor of each ladder.
func TestCatalogueInDocuments(t *testing.T) {
	health, configuration := readPage(t, "docs/health.md"), readPage(t, "docs/configuration.md")
	has := func(page, text, start, monitor string) {
		t.Helper()
		row := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(start) + ".*$").FindString(text)
		if row == "" || !strings.Contains(row, monitor) {
			t.Errorf("%s: there is no row %q that names %q", page, start, monitor)
		}
	}
	for _, e := range catalogue.All() {
		has("docs/health.md", health, "| "+e.Set+" | "+e.Probe+" |", e.Monitor)
		if e.Ladder != "" {
			has("docs/configuration.md", configuration, "| `health.recovery.ladders."+e.Ladder+"` |", e.Monitor)
		}
	}
}

// The first configuration of the README must work when pasted.
func TestReadme(t *testing.T) {
	testkit.Need(t, "sh", "openssl")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var paste string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], "./portico check") {
			paste = block[1]
		}
	}
	paste, ok := strings.CutPrefix(paste, "make build\n") // this program is what it would build
	if !ok {
		t.Fatal("the README has no such block")
	}
	dir := t.TempDir()
	cmd := testkit.Program(t)
	if err := os.Symlink(cmd.Path, filepath.Join(dir, "portico")); err != nil {
		t.Fatal(err)
	}
	cmd.Path, cmd.Args, cmd.Dir = "/bin/sh", []string{"sh", "-e", "-c", paste}, dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "portico.yaml: fine\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	serveReadme(t, filepath.Join(dir, "portico.yaml"))
}

// The examples of these documents are parts of configurations that load.
func TestExamplesInDocuments(t *testing.T) {
	found := make(map[string]int)
	least := map[string]int{"docs/directory.md": 3, "docs/signin.md": 2, "docs/operations.md": 2, "docs/api.md": 2,
		"docs/health.md": 3, "docs/install.md": 4, "docs/frontends.md": 1,
		"docs/monitoring.md": 2, "docs/cluster.md": 1}
	for name := range least {
		for i, block := range regexp.MustCompile("(?s)( *)```yaml(\n.*?)```").FindAllStringSubmatch(readPage(t, name),
			-1) {
			found[name]++
			example := strings.ReplaceAll(block[2], "\n"+block[1], "\n") // a block in a list is indented
			t.Run(fmt.Sprintf("%s %d", name, i+1), func(t *testing.T) { loadExample(t, example) })
		}
	}
	wantFound(t, "examples", found, least)
}

// loadExample loads an example, with what every configuration has where it has not.
func loadExample(t *testing.T, example string) {
	if status, out, errs := command("check", "--config", writeExample(t, example)); status != cli.StatusFine {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

// writeExample writes an example, with what every configuration has where it has not, and the files that it names.
func writeExample(t *testing.T, example string) (file string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.WriteFile(dir); err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"mail", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mail", "mx1", "tls", "etcd"} {
		if _, _, err := cert.WriteFiles(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"users.map": "alice@example.org db1", "passwords": "alice@example.org:!", "master.secret": "sesame",
		"ldap.secret": "sesame", "health.password": "sesame", "etcd.password": "sesame",
		"cluster.secret": strings.Repeat("sesame", 6),
		"tokens":         "prometheus read sha256:" + strings.Repeat("0f", 32),
		"ipmi.token":     "sesame-open-yourself", "mx2.token": "sesame-open-yourself",
		"directory.dsn": "postgres://portico:sesame@db.example.org/mail?sslmode=verify-full",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string]string{
		"listeners":       `[{address: "127.0.0.1:143", tls: starttls}]`,
		"tls":             "{certificates: [{cert: mail.crt, key: mail.key}]}",
		"mailbox_servers": `{mbx1: {address: "10.0.0.11:993"}, mbx2: {address: "10.0.0.12:993"}}`,
		"databases":       "{db1: {copies: [mbx1, mbx2]}}",
	} {
		if !regexp.MustCompile("(?m)^" + key + ":").MatchString(example) {
			example += key + ": " + value + "\n"
		}
	}
	file = filepath.Join(dir, "portico.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// serveReadme serves the README's file on other ports, as the ones in it may be taken here.
func serveReadme(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	served := string(text)
	for _, port := range []string{"1143", "1993", "8143"} {
		served = strings.Replace(served, ":"+port+`"`, ":"+testkit.FreePort(t)+`"`, 1)
	}
	if err := os.WriteFile(file, []byte(served), 0o600); err != nil {
		t.Fatal(err)
	}
	listeners, _ := serveUntilEnd(t, file)
	testkit.Dial(t, listeners[0].String(), nil).Expect("* OK *")
}

// serveUntilEnd serves a file until the test ends, and returns the listeners and the log.
func serveUntilEnd(t *testing.T, file string) ([]net.Addr, *testkit.Log) {
	t.Helper()
	signals, ended := make(chan os.Signal, 2), make(chan error, 1)
	listening, log := make(chan []net.Addr, 1), &testkit.Log{}
	go func() {
		ended <- node.Serve(file, signals, log, func(listeners []net.Addr, _ net.Addr) { listening <- listeners })
	}()
	select {
	case listeners := <-listening:
		t.Cleanup(func() {
			signals <- syscall.SIGTERM
			signals <- syscall.SIGTERM
			if err := <-ended; err != nil {
				t.Errorf("%v\n%s", err, log)
			}
		})
		return listeners, log
	case err := <-ended:
		t.Fatalf("%v\n%s", err, log)
		return nil, nil
	}
}
