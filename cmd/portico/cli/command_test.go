package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// An error shows no control characters, and turns no text around.
func TestErrorsAreVisible(t *testing.T) {
	status, _, errs := command("check", "--config", "no\x1b[2J\u202efile")
	if status != StatusFailed || !strings.Contains(errs, `no\x1b[2J\xe2\x80\xaefile`) ||
		!strings.HasSuffix(errs, "\n") {
		t.Errorf("status %d: %q", status, errs)
	}
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	if status, _, errs := command("man", "--dir", dir); status != StatusFine {
		t.Fatal(errs)
	}
	if _, help, _ := command("--help"); !strings.Contains(help, "\n  man ") {
		t.Error("the help does not list the command man, which README names")
	}
	for page, words := range map[string]string{
		"portico.1": "mailbox servers", "portico-serve.1": "SIGHUP", "portico-check.1": "has errors",
		"portico-database-pin.1": "data_dir",
		"portico-demo.1":         "loopback", "portico-completion-bash.1": "bash",
	} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), words) {
			t.Errorf("%s: %v, does not say %q", page, err, words)
		}
	}
}

// A mistyped command is an error that names the nearest one, in each place of the tree. It is no call for help, which
// is a success.
func TestMistypedCommands(t *testing.T) {
	tried := 0
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, below := range cmd.Commands() {
			if below.Hidden {
				continue
			}
			name := below.Name()
			short := name[:len(name)-1]
			if len(name) > 3 { // in three letters, another one makes another word
				short += "_"
			} else if len(name) < 3 {
				short = name + "_"
			}
			for _, typed := range []string{name + name[len(name)-1:], short, "\x1b" + name} {
				status, out, errs := command(append(slices.Clone(path), typed)...)
				if status != StatusFailed || out != "" || !strings.Contains(errs, "did you mean") ||
					strings.Contains(errs, "\x1b") {
					t.Errorf("%q %q: %d, %s%s", path, typed, status, out, errs)
				}
				if typed == name+name[len(name)-1:] && !strings.Contains(errs, `did you mean "`+name+`"`) {
					t.Errorf("%q %q: %s", path, typed, errs)
				}
				tried++
			}
			if below.HasSubCommands() {
				walk(below, append(slices.Clone(path), name))
			}
		}
	}
	walk(New(program), nil)
	if tried < 150 {
		t.Errorf("%d were tried", tried)
	}
	for _, args := range [][]string{{"--bogus"}, {"health", "--bogus"}, {"health", "--bogus", "get"},
		{"--bogus", "health", "get"}} {
		if status, out, errs := command(args...); status != StatusFailed || out != "" ||
			!strings.Contains(errs, "--bogus") {
			t.Errorf("%q: %d, %s%s", args, status, out, errs)
		}
	}
	for _, args := range [][]string{{}, {"--help"}, {"health"}, {"health", "--help"}, {"help", "health"},
		{"health", "--help", "gett"}} {
		if status, out, errs := command(args...); status != StatusFine || !strings.Contains(out, "Usage:") ||
			errs != "" {
			t.Errorf("%q: %d, %s%s", args, status, out, errs)
		}
	}
}

// A flag with a default of zero does not show it: where a time of zero means no end or now, 0s would mislead. No
// default is shown empty.
func TestHelpShowsNoZeroDefaults(t *testing.T) {
	zero := regexp.MustCompile(`.*\(default "?(0s|\[\]|)"?\)`)
	shown := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		help := cmd.Flags().FlagUsages()
		shown += strings.Count(help, "(default ")
		for _, line := range zero.FindAllString(help, -1) {
			t.Errorf("%s: %s", cmd.CommandPath(), line)
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(New(program))
	if shown < 30 {
		t.Errorf("found %d defaults", shown)
	}
}
