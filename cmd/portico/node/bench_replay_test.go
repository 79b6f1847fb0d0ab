package node

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/bench/replay"
	"portico/cmd/portico/cli"
)

// recordSite starts Portico before Dovecot, with the protocol log on for everybody. It returns the address for
// clients.
func recordSite(t *testing.T) (site *site, address, passwords string) {
	t.Helper()
	var users []backendtest.User
	for _, name := range []string{"alice1", "alice2", "alice3"} {
		u := backendtest.User{Name: name, Password: "hush"}
		for i := range 5 {
			text := fmt.Sprintf("From: a@example.org\r\nSubject: message %d\r\n\r\nHello.\r\n", i)
			u.Mail = append(u.Mail, backendtest.Mail{Mailbox: "INBOX", Message: []byte(text)})
		}
		users = append(users, u)
	}
	site = newSite(t)
	site.server = testkit.Dovecot(t, backendtest.DovecotOptions{Users: users}).Plain
	r := site.serve(t, site.write(t, "settings: {login_type: plain_text_login, protocol_log_enabled: true}\n"))
	passwords = filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return site, r.clients.listeners.addresses()[0].String(), passwords
}

// endedRows waits until each session in the log has ended, and returns the rows of sessions that are not known.
func (s *site) endedRows(t *testing.T, known map[string]bool) (rows [][]string) {
	t.Helper()
	testkit.Eventually(t, "all sessions have ended in the log", func() bool {
		rows = nil
		open := 0
		for _, row := range s.rows(t) {
			switch row[9] {
			case "OpenSession":
				open++
			case "CloseSession":
				open--
			}
			if !known[row[1]] {
				rows = append(rows, row)
			}
		}
		return open == 0 && len(rows) > 0
	})
	return rows
}

// sessionsOf are the IDs in rows; with a command, those that have sent it.
func sessionsOf(rows [][]string, commands ...string) map[string]bool {
	ids := make(map[string]bool)
	for _, row := range rows {
		if len(commands) == 0 || slices.Contains(commands, row[9]) {
			ids[row[1]] = true
		}
	}
	return ids
}

// recordingOf makes a recording of rows by the command, and returns it as a file too.
func recordingOf(t *testing.T, rows [][]string) (*replay.Recording, string) {
	t.Helper()
	dir := t.TempDir()
	log, file := filepath.Join(dir, "IMAP4.LOG"), filepath.Join(dir, "monday.rec")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	status, out, errs := command("bench", "profile", "from-log", log)
	if status != cli.StatusFine {
		t.Fatalf("status %d, %s", status, errs)
	}
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := replay.Read(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return r, file
}

// walks are what the sessions of a recording did, in order: the commands that are played, each session as one line.
func walks(r *replay.Recording) (lines []string, bytes float64) {
	for i := range r.Sessions {
		line := ""
		for _, op := range r.Sessions[i].Operations {
			for _, step := range op.Steps {
				if step.Verb == replay.Other {
					step.Verb = replay.Noop
				}
				if step.Verb == replay.FetchBody || step.Verb == replay.Append {
					bytes += float64(step.Bytes)
				}
				line += " " + step.Verb.String()
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines, bytes
}

// benchAlices is a command line of bench run for the three users.
func benchAlices(address, passwords string) []string {
	return []string{
		"bench", "run", "--target", address, "--users", "alice%d:1-3", "--password-file", passwords,
		"--timeout", "1m", "--grace", "1m",
	}
}

const mixedRun = `per_session: 2
mixed:
  - {profile: webmail, weight: 2}
  - {profile: desktop.yaml, weight: 2}
  - {profile: phone, weight: 1}
  - {profile: storm, weight: 1}
`

const desktopRun = `desktop:
  messages: 4
  sizes: [{bytes: 3KiB}, {bytes: 60KiB}]
`

// TestReplay records a run through Portico, replays the recording through it, and records that. Each session of the
// first has one in the second with the same commands in the same order, and about the same sizes.
func TestReplay(t *testing.T) {
	testkit.Need(t, "dovecot")
	testkit.NoLeaks(t)
	site, address, passwords := recordSite(t)
	common := benchAlices(address, passwords)
	site.put(t, "mixed.yaml", mixedRun)
	site.put(t, "desktop.yaml", desktopRun)
	mixed := filepath.Join(site.dir, "mixed.yaml")
	status, out, errs := command(append(common, "--profile", mixed, "--sessions", "6", "--duration", "3s")...)
	if status != cli.StatusFine {
		t.Fatalf("status %d\n%s%s", status, out, errs)
	}
	rows := site.endedRows(t, nil)
	recording, file := recordingOf(t, rows)
	want, wantBytes := walks(recording)
	if len(want) < 8 || recording.Users != 3 || recording.Open != 0 || recording.Source.Damaged != 0 {
		t.Fatalf("recording: %+v", recording.Header)
	}
	if text, err := os.ReadFile(file); err != nil {
		t.Fatal(err)
	} else {
		for _, secret := range []string{"alice", "hush", "INBOX", "bench-", "127.0.0.1", "message", "mbx"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the recording tells %q", secret)
			}
		}
	}

	status, out, errs = command(append(common, "--replay", file)...)
	if status != cli.StatusFine || !strings.Contains(out, "replay at speed 1") {
		t.Fatalf("status %d\n%s%s", status, out, errs)
	}
	t.Log(out)
	after := site.endedRows(t, sessionsOf(rows))
	own := sessionsOf(after, "create", "delete") // make and remove test mailboxes; no other does
	after = slices.DeleteFunc(after, func(row []string) bool { return own[row[1]] })
	again, _ := recordingOf(t, after)
	got, gotBytes := walks(again)
	if !slices.Equal(got, want) {
		t.Errorf("played:\n%s\nrecorded:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if gotBytes < 0.9*wantBytes || gotBytes > 1.1*wantBytes {
		t.Errorf("%.0f bytes of messages, want %.0f", gotBytes, wantBytes)
	}
	if again.Seconds < 0.9*recording.Seconds { // an operation may be late, and is never early
		t.Errorf("it was played in %v, recorded in %v", again.Span(), recording.Span())
	}
	testReplayLeavesNothing(t, address, passwords)
}

func testReplayLeavesNothing(t *testing.T, address, passwords string) {
	t.Helper()
	status, out, errs := command("bench", "clean", "--dry-run", "--target", address, "--users", "alice%d:1-3",
		"--password-file", passwords, "-o", "name")
	if status != cli.StatusFine || strings.Contains(out, "bench-") {
		t.Errorf("left behind: status %d, %s%s", status, out, errs)
	}
}

// TestReplayMix runs the mix of a recording, and searches for a speed.
func TestReplayMix(t *testing.T) {
	testkit.Need(t, "dovecot")
	testkit.NoLeaks(t)
	site, address, passwords := recordSite(t)
	common := benchAlices(address, passwords)
	webmail := []string{"--profile", "webmail", "--sessions", "3", "--rate", "8", "--duration", "2s"}
	if status, out, errs := command(append(common, webmail...)...); status != cli.StatusFine {
		t.Fatalf("status %d\n%s%s", status, out, errs)
	}
	_, file := recordingOf(t, site.endedRows(t, nil))
	for _, args := range []string{
		"--profile FILE --sessions 3 --rate 30 --duration 2s",
		"--profile FILE --sessions 3 --closed --duration 1s",
		"--replay FILE --speed 3",
		"--replay FILE --duration 500ms --fail-if p99>1m --fail-if errors>0",
	} {
		words := strings.Fields(strings.ReplaceAll(args, "FILE", file))
		status, out, errs := command(append(slices.Clone(common), words...)...)
		if status != cli.StatusFine || !strings.Contains(out, "recorded, whole") {
			t.Errorf("%s: status %d\n%s%s", args, status, out, errs)
		}
	}
	testReplayLeavesNothing(t, address, passwords)
}

// TestReplayMistakes wants a reason for what cannot be done.
func TestReplayMistakes(t *testing.T) {
	addr, passwords := testkit.Sink(t)
	log := filepath.Join(t.TempDir(), "empty.LOG")
	if err := os.WriteFile(log, []byte("#Software: Portico\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := []string{"bench", "run", "--target", addr, "--users", "u", "--password-file", passwords}
	mistakes := map[string][]string{
		"no session that signed in": {"bench", "profile", "from-log", log},
		"no such file":              {"bench", "profile", "from-log", "nowhere.LOG"},
		"must be 1 to":              {"bench", "profile", "from-log", "--sessions", "0", log},
		"not a recording":           append(slices.Clone(run), "--replay", log),
		"sessions has no effect":    append(slices.Clone(run), "--replay", log, "--sessions", "5"),
		"speed":                     append(slices.Clone(run), "--speed", "2"),
	}
	for _, says := range slices.Sorted(maps.Keys(mistakes)) {
		status, out, errs := command(mistakes[says]...)
		if status != cli.StatusFailed || out != "" || !strings.Contains(errs, says) {
			t.Errorf("%s: status %d, %q, %q", says, status, out, errs)
		}
	}
}
