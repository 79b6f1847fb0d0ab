package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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
	sink.use(configs.Log{Level: configs.LogDebug, Format: configs.LogJSON})
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
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil || line.Message != want || line.Session != "1" ||
			line.Time.IsZero() {
			t.Errorf("line %d: %s, %v", i, lines[i], err)
		}
	}
}

func TestConsoleLogHasNoColourInAFile(t *testing.T) {
	out := &testkit.Log{}
	log, sink := newLog(out, configs.Log{Level: configs.LogInfo, Format: configs.LogJSON}, false)
	sink.use(configs.Log{Level: configs.LogInfo, Format: configs.LogConsole})
	log.Info().Str("server", "mbx1").Msg("words")
	if text := out.String(); strings.Contains(text, "\x1b") || !strings.HasSuffix(text, "INF words server=mbx1\n") {
		t.Errorf("%q", text)
	}
}

// Lines of sessions wait for each other for a moment; a warning, and a line of anything else, takes along those before
// it. So they keep their order, and none is left behind.
func TestLinesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, format := range []configs.LogFormat{configs.LogJSON, configs.LogConsole} {
			out := &testkit.Log{}
			log, sink := newLog(out, configs.Log{Level: configs.LogInfo, Format: format}, true)
			sessions := sink.patient(log)
			written := 0
			check := func(when string, want int) {
				t.Helper()
				if written += want; strings.Count(out.String(), "\n") != written {
					t.Errorf("%s: %s: want %d lines of\n%s", format, when, written, out)
				}
			}
			sessions.Info().Msg("1")
			sessions.Debug().Msg("nobody wants this")
			sessions.Info().Msg("2")
			check("at once", 0)
			time.Sleep(batchWaits)
			synctest.Wait()
			check("a moment later", 2)
			sessions.Info().Msg("3")
			sessions.Warn().Msg("4")
			check("with a warning", 2)
			sessions.Info().Msg("5")
			log.Info().Msg("6")
			check("with another line", 2)
			sessions.Info().Msg("7")
			sink.flush()
			check("at the end", 1)
			sessions.Info().Msg(strings.Repeat("8", batchSize))
			check("with no room", 1)
			if format != configs.LogJSON {
				continue
			}
			for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
				if want := fmt.Sprintf(`"%d`, i+1); !strings.Contains(line, `"message":`+want) || line[0] != '<' {
					t.Errorf("line %d is %.80s", i+1, line)
				}
			}
		}
	})
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
			if !strings.HasPrefix(lines[i], priority+want) && priority != "" ||
				priority == "" && strings.HasPrefix(lines[i], "<") {
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
