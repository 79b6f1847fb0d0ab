package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"portico/bench/replay"
)

// LoadReplay reads a recording as a profile that plays its sessions at their own times.
func LoadReplay(file string) (*Profile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	defer f.Close()
	recording, err := replay.Read(f)
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", file, err)
	}
	return newReplay(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), recording), nil
}

func newReplay(name string, r *replay.Recording) *Profile {
	return &Profile{Name: name, Description: r.Profile.Description, Mailbox: "bench-", recording: r}
}

// ofRecording returns the profile in a recording's first line. Other texts are returned as they are.
func ofRecording(text []byte) ([]byte, error) {
	if !replay.IsRecording(text) {
		return text, nil
	}
	header, err := replay.ReadHeader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return json.Marshal(header.Profile) // JSON is YAML
}

// replaysAt returns the operations per second of the recording at its own speed. It is 0 for other profiles.
func (p *Profile) replaysAt() float64 {
	if p.recording == nil {
		return 0
	}
	return float64(p.recording.Operations()) / p.recording.Seconds
}

// afterLast is how long the measured time continues after the last operation of a recording was due.
const afterLast = 100 * time.Millisecond

// completeReplay derives the other options from a recording.
func (o *Options) completeReplay() error {
	natural := o.Profile.replaysAt()
	if natural == 0 {
		if o.Speed != 0 {
			return fmt.Errorf("speed needs a replay")
		}
		return nil
	}
	if o.Closed {
		return fmt.Errorf("a replay has its own times: leave out closed")
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if !(o.Speed >= minSpeed && o.Speed <= maxSpeed) {
		return fmt.Errorf("speed %v: must be %v to %v", o.Speed, minSpeed, maxSpeed)
	}
	r := o.Profile.recording
	o.Sessions, o.Rate = len(r.Sessions), natural*o.Speed
	whole := time.Duration(float64(r.Span()) / o.Speed)
	setDefault(&o.Duration, max(whole-o.WarmUp, 0)+afterLast)
	setDefault(&o.Ramp, time.Duration(r.Open)*time.Second/openPerSecond)
	return nil
}

// Limits of replays.
const (
	minSpeed      = 0.01
	maxSpeed      = 1000
	openPerSecond = 100 // sessions that were open sign in before the measured time, unless the ramp says otherwise
)

// atRate returns the options with another rate. A replay plays the same part of its recording in more or less time.
func (o Options) atRate(rate float64) Options {
	if natural := o.Profile.replaysAt(); natural > 0 {
		speed := rate / natural
		o.Duration = time.Duration(float64(o.Duration) * o.Speed / speed)
		o.Speed = speed
	}
	o.Rate, o.RunID = rate, ""
	return o
}

// givePart gives a session its user's mailbox and, if it has them, its own times.
func (e *engine) givePart(s *session, script *recorded) {
	o := &e.options
	user := s.number % len(o.Users)
	if script.session != nil {
		user = script.session.User % len(o.Users)
		s.schedule.times = make([]time.Duration, len(script.session.Operations))
		for i, op := range script.session.Operations {
			s.schedule.times[i] = time.Duration(float64(op.At) / o.Speed)
		}
		s.schedule.interval = never // it counts as one behind at most
	}
	script.mail = e.mailOf(user)
	s.user, s.target = o.Users[user], &o.Targets[script.mail.target]
}

// mailOf returns a user's mailbox, which is created later.
func (e *engine) mailOf(user int) *testMail {
	if e.mailByUser == nil {
		e.mailByUser = make(map[int]*testMail)
		e.mailSizes = sizesFor(e.options.Profile.recordedSteps)
	}
	m := e.mailByUser[user]
	if m == nil {
		o := &e.options
		name := fmt.Sprintf("%s%s-%d", o.Profile.Mailbox, o.RunID, user)
		m = &testMail{user: user, target: user % len(o.Targets), name: name}
		e.mailByUser[user] = m
		e.mail = append(e.mail, m)
	}
	return m
}

// recordedSteps calls each for the commands of recordings that the profile plays.
func (p *Profile) recordedSteps(each func(replay.Step)) {
	switch {
	case p.recording != nil:
		p.recording.Steps(each)
	case p.Commands != nil:
		for _, w := range p.Commands.Mix {
			each(w.Do)
		}
	}
	for _, part := range p.Mixed {
		part.profile.recordedSteps(each)
	}
}

// Replayed names the recording of a report, and what was changed in it.
type Replayed struct {
	Speed    float64       `json:"speed"`
	From     time.Time     `json:"recorded_from,omitzero"`
	Seconds  float64       `json:"recorded_s"`
	Sessions int           `json:"recorded_sessions"`
	Users    int           `json:"recorded_users"`
	Open     int           `json:"open_at_start"`
	Smaller  int           `json:"answers_made_smaller"` // since the test mailboxes have too few messages
	Source   replay.Source `json:"source"`
}

// replayed reports on a replay, nil for other runs.
func (e *engine) replayed() *Replayed {
	r := e.options.Profile.recording
	if r == nil {
		return nil
	}
	out := &Replayed{
		Speed: e.options.Speed, From: r.From, Seconds: r.Seconds, Sessions: len(r.Sessions), Users: r.Users,
		Open: r.Open, Source: r.Source,
	}
	var all uint64
	for _, size := range e.mailSizes {
		all += uint64(size)
	}
	r.Steps(func(step replay.Step) {
		if int(step.Messages) > len(e.mailSizes) || step.Verb == replay.FetchBody && uint64(step.Bytes) > all {
			out.Smaller++
		}
	})
	return out
}

// String describes the recording.
func (r *Replayed) String() string {
	from := ""
	if !r.From.IsZero() {
		from = fmt.Sprintf(" from %s on", r.From.Format(time.RFC3339))
	}
	return fmt.Sprintf("speed %s: %d sessions of %d users, recorded in %s s%s; %d open at the start",
		short(r.Speed), r.Sessions, r.Users, short(r.Seconds), from, r.Open)
}

// MadeUp describes what differs from the recording.
func (r *Replayed) MadeUp() []string {
	text := "mailboxes, messages and search words are made up; bytes of bodies and numbers of messages are as recorded"
	if r.Smaller > 0 {
		text += fmt.Sprintf(", but %d answers are smaller, since test mailboxes are", r.Smaller)
	}
	return append([]string{text}, r.Source.Lines()...)
}

func (r *Replayed) write(b *strings.Builder) {
	if r == nil {
		return
	}
	fmt.Fprintf(b, "replay at %s\n", r)
	for _, line := range r.MadeUp() {
		fmt.Fprintf(b, "  %s\n", line)
	}
}
