package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/configs"
)

func TestLog(t *testing.T) {
	out := &testkit.Log{}
	log, sink := newLog(out, configs.Log{Level: configs.LogWarn, Format: configs.LogJSON}, false)
	child := log.With().Str("session", "1").Logger()
	if child.Info().Enabled() {
		t.Error("a line is made that nobody wants")
	}
	child.Info().Msg("one")
	child.Warn().Msg("two")
	sink.setLevel(configs.LogDebug)
	child.Debug().Msg("three")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, want := range []string{"two", "three"} {
		var line struct {
			Time             time.Time
			Message, Session string
		}
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil || line.Message != want || line.Session != "1" || line.Time.IsZero() {
			t.Errorf("line %d: %s, %v", i, lines[i], err)
		}
	}
}

func TestConsoleLogHasNoColourInAFile(t *testing.T) {
	out := &testkit.Log{}
	log, _ := newLog(out, configs.Log{Level: configs.LogInfo, Format: configs.LogConsole}, false)
	log.Info().Str("server", "mbx1").Msg("words")
	if text := out.String(); strings.Contains(text, "\x1b") || !strings.HasSuffix(text, "INF words server=mbx1\n") {
		t.Errorf("%q", text)
	}
}

// Under systemd each line has its priority, in either format; elsewhere it has none.
func TestPrioritiesForTheJournal(t *testing.T) {
	for format, want := range map[configs.LogFormat]string{configs.LogJSON: `{"level":`, configs.LogConsole: ``} {
		out := &testkit.Log{}
		log, _ := newLog(out, configs.Log{Level: configs.LogDebug, Format: format}, true)
		log.Debug().Msg("x")
		log.Info().Msg("x")
		log.Warn().Msg("x")
		log.Error().Msg("x")
		log.Log().Msg("x")
		lines := strings.Split(out.String(), "\n")
		for i, priority := range []string{"<7>", "<6>", "<4>", "<3>", ""} {
			if !strings.HasPrefix(lines[i], priority+want) && priority != "" || priority == "" && strings.HasPrefix(lines[i], "<") {
				t.Errorf("%s: line %d is %s", format, i, lines[i])
			}
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for stream, want := range map[string]bool{"": false, "1:1": false, identityOf(file): true} {
		if got := toJournal(file, stream); got != want {
			t.Errorf("JOURNAL_STREAM=%s: %v", stream, got)
		}
	}
	if toJournal(&testkit.Log{}, identityOf(file)) {
		t.Error("what is no file goes to the journal")
	}
}
