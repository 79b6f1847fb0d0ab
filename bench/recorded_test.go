package bench

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/bench/replay"
)

// recordingFrom writes a recording to a file and loads it.
func recordingFrom(t *testing.T, seconds string, commands string, sessions ...string) *Profile {
	t.Helper()
	header := `{"portico_recording":1,"users":3,"seconds":` + seconds + `,"commands":` + commands + `,"sessions":` +
		string(rune('0'+len(sessions))) + `,"open_at_start":1}`
	file := filepath.Join(t.TempDir(), "day.rec")
	if err := os.WriteFile(file, []byte(header+"\n"+strings.Join(sessions, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := LoadReplay(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// replayed are sessions of each kind: one that was open, one with every command, one that is cut off.
func replayed(t *testing.T) *Profile {
	return recordingFrom(t, "1", "32",
		`{"at_ms":0,"user":0,"open":true,"operations":["100 fetch-headers:2000*4 idle","300 done noop"]}`,
		`{"at_ms":50,"user":1,"operations":["0 sign-in capability namespace list status select fetch-flags:900*20",`+
			`"5 fetch-body:50000*3","200 store copy append:9000 search search-text expunge examine store",`+
			`"300 close other select idle noop logout"]}`,
		`{"at_ms":100,"user":2,"operations":["0 sign-in examine fetch-body:900000*1 drop"]}`,
		`{"at_ms":500,"user":1,"operations":["0 sign-in done"]}`)
}

// TestReplaySessions plays sessions with every command against servers that do nothing wrong.
func TestReplaySessions(t *testing.T) {
	users := someUsers(2)
	for _, name := range []string{"memory", "dovecot"} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			var addr string
			if name == "memory" {
				m, err := backendtest.NewMemory(backendtest.MemoryOptions{Users: serverUsers(users)})
				if err != nil {
					t.Fatal(err)
				}
				addr = testkit.Serve(t, m)
			} else {
				testkit.Need(t, "dovecot")
				addr = testkit.Dovecot(t, backendtest.DovecotOptions{Users: serverUsers(users)}).Plain
			}
			r := mustRun(t, Options{
				Targets: []Target{target(t, addr)}, Users: users, Profile: replayed(t), Timeout: testkit.Patience,
				Grace: time.Minute,
			})
			if !r.Fine() || r.Totals.OperationOutcomes.All != 8 || r.Totals.OperationOutcomes.Bad() > 0 {
				t.Errorf("not fine:\n%s", table(r))
			}
			for row, want := range map[string]uint64{"UID FETCH body": 2, "UID SEARCH": 1, "UID SEARCH text": 1,
				"EXAMINE": 2, "IDLE": 2, "DONE": 2, "APPEND": 1, "CLOSE": 1, "UID STORE": 2, "NAMESPACE": 1} {
				if got := r.rowOf(row).Count; got != want {
					t.Errorf("%d times %s, want %d", got, row, want)
				}
			}
			if signIns := r.rowOf("sign-in"); signIns.Count != 4 || signIns.Before != 1 {
				t.Errorf("sign-ins: %+v", signIns)
			}
			if r.Replay == nil || r.Replay.Sessions != 4 || r.Setup.Sessions != 4 {
				t.Errorf("report: %+v", r.Replay)
			}
			checkNothingLeft(t, addr, TLSNone, nil)
		})
	}
}

// TestReplayOfDeadServer: a server that is gone when the run begins fails it, before anything is measured.
func TestReplayOfDeadServer(t *testing.T) {
	testkit.NoLeaks(t)
	ln := testkit.Listen(t)
	ln.Close()
	o := Options{Targets: []Target{target(t, ln.Addr().String())}, Users: someUsers(2), Profile: replayed(t)}
	_, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "before the run") || !strings.Contains(err.Error(), "user") {
		t.Errorf("error %v", err)
	}
}

// TestReplayOptions derives sessions, rate and duration from the recording.
func TestReplayOptions(t *testing.T) {
	o := Options{Targets: []Target{{}}, Users: someUsers(1), Profile: replayed(t), Speed: 2}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	if o.Sessions != 4 || o.Rate != 16 || o.Duration != 600*time.Millisecond || o.Ramp != 10*time.Millisecond {
		t.Errorf("%d sessions, rate %v, %v, ramp %v", o.Sessions, o.Rate, o.Duration, o.Ramp)
	}
	if twice := o.atRate(32); twice.Speed != 4 || twice.Duration != 300*time.Millisecond {
		t.Errorf("speed %v, %v", twice.Speed, twice.Duration)
	}
	for name, change := range map[string]func(*Options){
		"closed": func(o *Options) { o.Closed = true },
		"speed":  func(o *Options) { o.Speed = 1e9 },
		"replay": func(o *Options) { o.Profile, o.Speed = builtInProfile(t, "noop"), 1 },
	} {
		o := Options{Targets: []Target{{}}, Users: someUsers(1), Profile: replayed(t)}
		if change(&o); o.complete() == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}

// TestBodyParts chooses messages for answers of all sizes.
func TestBodyParts(t *testing.T) {
	m := &testMail{}
	for i, size := range sizesFor(func(each func(replay.Step)) {
		each(replay.Step{Verb: replay.FetchBody, Bytes: 100_000, Messages: 1})
	}) {
		m.messages = append(m.messages, message{uid: uint64(i + 1), size: size})
	}
	largest := func(a, b message) int { return b.size - a.size }
	if !slices.IsSortedFunc(m.messages, largest) || len(m.messages) != leastMessages {
		t.Fatalf("messages: %+v", m.messages)
	}
	all := m.sum(0, len(m.messages), largeMessage)
	for _, want := range []struct{ bytes, messages uint32 }{
		{1, 1}, {3000, 1}, {100_000, 1}, {100_001, 1}, {150_000, 1}, {9000, 3}, {60_000, 16}, {50_000, 500},
		{10_000_000, 2},
	} {
		got := m.part(&session{random: rand.New(rand.NewPCG(1, 2))}, want.bytes, want.messages)
		least := min(uint64(float64(want.bytes)*0.99), all)
		if got.n < 1 || got.bytes < least || got.bytes > 2*uint64(want.bytes) {
			t.Errorf("%+v: %+v", want, got)
		}
	}
}
