package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
	"portico/configs/store"
)

// A start with a damaged store names file and entry, and the commands that help; they do.
func TestDamagedStore(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	r.logged(t, "daily copy of the store made")
	socket := filepath.Join(site.dir, "admin.sock")
	wantCommand(t, "settings set banner=stored --admin "+socket, cli.StatusFine, "stored")
	wantCommand(t, "store check --admin "+socket, cli.StatusFine, "daily")
	wantCommand(t, "store backup --admin "+socket, cli.StatusFine, "by-hand")
	wantCommand(t, "store show --admin "+socket, cli.StatusFine, `{"banner":"stored"}`)
	wantCommand(t, "store show nosuch/ --admin "+socket, cli.StatusFailed,
		`no entry has a key that begins with "nosuch/"`)
	wantCommand(t, "store show --admin "+socket+"x", cli.StatusFailed, "--config FILE")
	if _, _, errs := command("store", "show", "--node", "nosuch", "--admin", socket); errs == "" ||
		strings.Contains(errs, "--config FILE") {
		t.Errorf("the answer of a Portico that runs: %s", errs)
	}
	wantCommand(t, "store restore -c "+file+" latest", cli.StatusFailed,
		"another Portico is running with this data_dir: stop it first")
	r.signals <- os.Interrupt
	r.stopped(t)

	path := filepath.Join(site.dir, "data", store.FileName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	site.put(t, filepath.Join("data", store.FileName), strings.Replace(string(text), "stored", "forged", 1))
	for _, args := range []string{"serve -c " + file, "check -c " + file, "database pinned -c " + file} {
		status, out, errs := command(strings.Fields(args)...)
		for _, words := range []string{path, `entry "settings": its checksum does not match`,
			"portico store restore -c " + file + " COPY"} {
			if status == cli.StatusFine || !strings.Contains(out+errs, words) {
				t.Errorf("%s: status %d, without %q: %s%s", args, status, words, out, errs)
			}
		}
	}
	wantCommand(t, "store check -c "+file, cli.StatusBad, `entry "settings"`)
	wantCommand(t, "store show -c "+file, cli.StatusBad, "active/db1")
	wantCommand(t, "store backup -c "+file, cli.StatusFailed, `entry "settings"`)
	wantCommand(t, "store restore -c "+file+" "+path, cli.StatusFailed, `entry "settings"`)
	wantCommand(t, "store restore -c "+file+" --partial "+path, cli.StatusFine,
		`left out: store: `+path+` is damaged: line`)
	wantCommand(t, "store show -c "+file+" settings", cli.StatusFailed,
		`no entry has a key that begins with "settings"`)
	wantCommand(t, "store restore -c "+file+" latest", cli.StatusFine, `settings  -    {"banner":"stored"}`)
	wantCommand(t, "check -c "+file, cli.StatusFine, "fine")
	wantCommand(t, "store show -c "+file+" protocol_log", cli.StatusFine, "*****")
	wantCommand(t, "store backup -c "+file+" "+filepath.Join(site.dir, "aside"), cli.StatusFine, "aside")
	wantCommand(t, "store check "+filepath.Join(site.dir, "aside"), cli.StatusFine, "whole")
	site.serve(t, file).logged(t, "a stored setting overrides the file")
}

// A start without file and identity, but with copies, is refused, and each way on that the error offers works.
func TestLostStore(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	r.logged(t, "daily copy of the store made")
	wantCommand(t, "store backup --admin "+filepath.Join(site.dir, "admin.sock"), cli.StatusFine, "by-hand")
	r.signals <- os.Interrupt
	r.stopped(t)
	path := filepath.Join(site.dir, "data", store.FileName)
	beside, backups := filepath.Join(site.dir, "data", store.IdentityName), filepath.Join(site.dir, "data",
		store.BackupsName)
	lose := func() {
		for _, lost := range []string{path, beside} {
			if err := os.RemoveAll(lost); err != nil {
				t.Fatal(err)
			}
		}
	}
	lose()
	away := "To start with an empty store instead, move away: " + backups + "\n"
	for _, args := range []string{"serve -c " + file, "check -c " + file, "store backup -c " + file} {
		status, out, errs := command(strings.Fields(args)...)
		for _, words := range []string{path + " is damaged: it is missing, although",
			"portico store restore -c " + file + " COPY", away} {
			if status == cli.StatusFine || !strings.Contains(out+errs, words) {
				t.Errorf("%s: status %d, without %q: %s%s", args, status, words, out, errs)
			}
		}
		if strings.Contains(errs, "--partial") {
			t.Errorf("%s offers entries of a file that is not there: %s", args, errs)
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	wantCommand(t, "serve -c "+file, cli.StatusFailed,
		"it is not a regular file but a folder\nNothing was changed. To continue:")
	wantCommand(t, "store restore -c "+file+" latest", cli.StatusFailed,
		"it is not a regular file but a folder: move it away first")
	lose()
	wantCommand(t, "store restore -c "+file+" latest", cli.StatusFine, "restored")
	wantCommand(t, "check -c "+file, cli.StatusFine, "fine")

	copies, err := os.ReadDir(backups)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		site.put(t, filepath.Join("data", store.BackupsName, c.Name()), "nothing")
	}
	lose()
	status, _, errs := command("serve", "-c", file)
	if status != cli.StatusFailed || strings.Contains(errs, "COPY") || !strings.Contains(errs, away) {
		t.Errorf("without a whole copy: status %d, %s", status, errs)
	}
	if err := os.RemoveAll(backups); err != nil {
		t.Fatal(err)
	}
	site.serve(t, file).logged(t, "daily copy of the store made")
}

// wantCommand runs a command and looks for words in what it writes.
func wantCommand(t *testing.T, args string, status int, words string) {
	t.Helper()
	got, out, errs := command(strings.Fields(args)...)
	if got != status || !strings.Contains(out+errs, words) {
		t.Errorf("%s: status %d, want %d, and %q in: %s%s", args, got, status, words, out, errs)
	}
}
