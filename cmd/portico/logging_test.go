package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/configs"
)

func TestLog(t *testing.T) {
	out := &testkit.Log{}
	log, sink := newLog(out, configs.Log{Level: configs.LogWarn, Format: configs.LogJSON})
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
	log, _ := newLog(out, configs.Log{Level: configs.LogInfo, Format: configs.LogConsole})
	log.Info().Str("server", "mbx1").Msg("words")
	if text := out.String(); strings.Contains(text, "\x1b") || !strings.HasSuffix(text, "INF words server=mbx1\n") {
		t.Errorf("%q", text)
	}
}
