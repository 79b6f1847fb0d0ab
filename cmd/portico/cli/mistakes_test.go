package cli

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// inWords fails if an error is not in words that help.
func inWords(t *testing.T, args []string, status int, out, errs string) {
	t.Helper()
	if status != StatusFailed || out != "" || !strings.HasPrefix(errs, "portico: ") {
		t.Errorf("%q: status %d, %q, %q", args, status, out, errs)
	}
	for _, raw := range []string{"arg(s)", "unknown name", "unknown flag", "unknown shorthand", "405", "strconv",
		"required flag", "<nil>", "%!"} {
		if strings.Contains(errs, raw) {
			t.Errorf("%q: the message has %q: %s", args, raw, errs)
		}
	}
}

// Every command refuses mistyped flags and wrong arguments, in words, with exit status 2.
func TestEveryCommandRefusesMistakes(t *testing.T) {
	t.Setenv("PORTICO_ADMIN", filepath.Join(t.TempDir(), "none.sock"))
	tried := 0
	for words, cmd := range testkit.Commands(New(program)) {
		if words == "help" || strings.HasPrefix(words, "completion") { // cobra's own
			continue
		}
		path := strings.Fields(words)
		try := func(args ...string) {
			args = append(slices.Clone(path), args...)
			status, out, errs := command(args...)
			inWords(t, args, status, out, errs)
			tried++
		}
		try("--bogus")
		try("-Z")
		try("")
		if cmd.Flags().Lookup("output") != nil {
			try("-o", "yaml")
		}
		_, usage, _ := strings.Cut(cmd.Use, " ")
		switch {
		case strings.Contains(usage, "..."): // any number
		default:
			try("one", "two", "three", "four")
		}
		if usage != "" && !strings.HasPrefix(usage, "[") {
			try() // without what it needs
		}
	}
	if tried < 150 {
		t.Errorf("%d were tried", tried)
	}
	for _, args := range [][]string{
		{"session", "lst"}, {"-Z", "health", "get"}, {"health", "-Z", "get"}, {"--bogus", "session", "list"},
		{"session", "--bogus", "list"}, {"session", "list", "--server"},
		{"session", "list", "--usr", "ann"}, {"log", "on", "--for", "soon"}, {"user", "where", ".."},
		{"session", "slow", "--limit", "x"}, {"maintenance", "start", "--server", "mx2"},
	} {
		status, out, errs := command(args...)
		inWords(t, args, status, out, errs)
	}
	for args, want := range map[string]string{
		"session list --usr ann":          "did you mean --user?",
		"--admin":                         "write it after the subcommand",
		"--admin /x":                      "write it after the subcommand",
		"server --admin":                  "write it after the subcommand, as in portico server",
		"server list --admin":             "--admin needs a value",
		"server list --admin ftp://u:p@x": "a URL begins with http:// or https://",
		"maintenance start --server mx2":  "--node asks another Portico",
		"server block":                    "portico server block needs SERVER: write portico server block SERVER",
		"component set ImapProxy":         "portico component set needs --requester and --state",
		"user kick":                       "needs USER, --session, --ip or --server",
		"canary set v2":                   "needs --percent, --stop-if or both",
		"canary start v2 --database db1 --server mbx2": "needs --percent, --users or both",
		"log on --for soon":                            `--for "soon" must be a time such as 90s, 10m or 2h`,
		"demo brek mbx1":                               `portico demo has no command "brek": did you mean "break"?`,
		"demo break mbx1 --dir /none":                  "no demo runs in /none",
		"server list more":                             `takes no argument, but "more" was given`,
		"session list --where Sever-eq":                "write FIELD -eq VALUE",
		"session list --where 'Sever -eq x'":           "did you mean Server?",
	} {
		var fields []string
		for i, part := range strings.Split(args, "'") {
			if i == 1 {
				fields = append(fields, part)
			} else {
				fields = append(fields, strings.Fields(part)...)
			}
		}
		if status, _, errs := command(fields...); status != StatusFailed || !strings.Contains(errs, want) {
			t.Errorf("%s: %d, %s", args, status, errs)
		}
	}
}
