package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the report as text.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	r.writeHead(&b)
	r.writeRows(&b)
	r.writeLoop(&b)
	r.writeSpent(&b)
	r.writeTool(&b)
	r.writeErrors(&b)
	r.writeConditions(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeHead(b *strings.Builder) {
	loop := fmt.Sprintf("open loop, %s operations due a second", short(r.Setup.Rate))
	if r.Setup.Closed {
		loop = "closed loop"
	}
	fmt.Fprintf(b, "%s against %s, TLS %s, %d sessions, %s\n", r.Setup.Profile, strings.Join(r.Setup.Targets, ", "),
		r.Setup.TLSText(), r.Setup.Sessions, loop)
	fmt.Fprintf(b, "%s\n", r.Setup.circumstances())
	if r.EndedEarly {
		fmt.Fprintf(b, "ENDED EARLY: %s\n", r.EndText())
	}
	t := &r.Totals
	fmt.Fprintf(b, "%s s measured; %s\n", short(r.Seconds), t.BytesText())
	r.writeWarmUp(b)
	r.Replay.write(b)
	fmt.Fprintf(b, "operations: %s done a second; %d due: %s\n", short(t.OperationsPerSecond), t.OperationOutcomes.All,
		t.OperationOutcomes)
	fmt.Fprintf(b, "commands: %s done a second; %d sent: %s\n\n", short(t.CommandsPerSecond), t.CommandOutcomes.All,
		t.CommandOutcomes)
}

// EndText says how much of the planned time was measured.
func (r *Report) EndText() string {
	return fmt.Sprintf("%s of %s s were measured", short(r.Seconds), short(r.Setup.Duration))
}

// BytesText formats the bytes that were sent and received.
func (t *Totals) BytesText() string {
	text := fmt.Sprintf("%s in, %s out", bytesText(float64(t.In)), bytesText(float64(t.Out)))
	if t.CompressedIn+t.CompressedOut > 0 {
		text += fmt.Sprintf(" (compressed: %s in, %s out)", bytesText(float64(t.CompressedIn)),
			bytesText(float64(t.CompressedOut)))
	}
	return text
}

// TLSText describes how connections use TLS, with the version and the key exchange if only one is allowed.
func (s *Setup) TLSText() string {
	var only []string
	for _, text := range []string{s.TLSVersion, s.Curve} {
		if text != "" {
			only = append(only, text)
		}
	}
	if len(only) == 0 || s.TLS == TLSNone.String() {
		return s.TLS
	}
	return fmt.Sprintf("%s (%s)", s.TLS, strings.Join(only, ", "))
}

// circumstances describes the machine and the connections of the run.
func (s *Setup) circumstances() string {
	extras := ""
	if s.ID {
		extras += " with ID"
	}
	if s.Compress {
		extras += ", COMPRESS=DEFLATE"
	}
	text := fmt.Sprintf("sign-in by %s%s, time-out %s s, grace %s s, answers checked: %s", s.Mechanism, extras,
		short(s.Timeout), short(s.Grace), s.Verify)
	if !s.Closed {
		text += fmt.Sprintf(", backlog %d", s.Backlog)
	}
	if s.Version != "" {
		text += "; portico " + s.Version
	}
	return text + "; " + s.Machine
}

func (r *Report) writeRows(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "latency\tcount\tdone a second\tp50\tp90\tp99\tp99.9\tmax\terrors\t")
	bounds, few := false, false
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", row.Name, row.Count, short(row.PerSecond),
			row.Text("p50_us"), row.Text("p90_us"), row.Text("p99_us"), row.Text("p999_us"),
			row.Text("max_us"), row.Errors)
		bounds, few = bounds || len(row.AtLeast) > 0, few || len(row.TooFew) > 0
	}
	t.Flush() // into memory
	if bounds {
		b.WriteString("> is a lower bound: without a good answer, the latency is at least the time waited\n")
	}
	if few {
		b.WriteString("- is a percentile that needs more latencies: p90 needs 10, p99 100, p99.9 1000\n")
	}
}

// Text formats a latency of the row by its name in JSON, such as p99_us. Lower bounds begin with >; a percentile of too
// few latencies is -.
func (row Row) Text(name string) string {
	us := map[string]int64{"p50_us": row.P50, "p90_us": row.P90, "p99_us": row.P99, "p999_us": row.P999,
		"max_us": row.Max}[name]
	if slices.Contains(row.TooFew, name) {
		return "-"
	}
	if slices.Contains(row.AtLeast, name) {
		return "> " + micros(us)
	}
	return micros(us)
}

func (r *Report) writeLoop(b *strings.Builder) {
	b.WriteString("\n")
	if r.Sessions.Most > 0 {
		fmt.Fprintf(b, "sessions that stay: %d signed in at the end, at most %d at once, %d reconnects\n",
			r.Sessions.AtEnd, r.Sessions.Most, r.Sessions.Reconnects)
	}
	if !r.Setup.Closed {
		fmt.Fprintf(b,
			"open loop: at most %d operations due and not begun at once; the tool's own delay p99 %s, max %s\n",
			r.Loop.MostBehind, micros(r.Loop.DelayP99), micros(r.Loop.DelayMax))
	}
}

// writeTool writes the figures of the tool itself, and whether it was the bottleneck.
func (r *Report) writeTool(b *strings.Builder) {
	fmt.Fprintf(b, "\nthe tool itself: %s\nverdict: %s\n", r.Tool.facts(r.Seconds), r.Tool.Verdict())
	for _, reason := range r.Tool.Shortage {
		fmt.Fprintf(b, "  %s\n", reason)
	}
}

// facts returns the figures behind the verdict.
func (t *Tool) facts(seconds float64) string {
	text := fmt.Sprintf("%s of %d CPUs; timers late by p99 %s, max %s", short(per(t.CPU, seconds)), t.CPUs,
		micros(t.LateP99), micros(t.LateMax))
	if t.Waiting != nil {
		text += fmt.Sprintf("; its threads waited %s of the time they wanted a CPU, %s each time", percent(*t.Waiting),
			micros(int64(t.Wait)))
	}
	if t.Machine != nil {
		text += fmt.Sprintf("; the machine was %s busy", percent(*t.Machine))
	}
	return text
}

func (r *Report) writeSpent(b *strings.Builder) {
	s := r.Spent
	if s == nil {
		return
	}
	fmt.Fprintf(b, "\nunder load: %.3f s CPU (%.3f user, %.3f system): %.2f us a command, %.3f s a GB", s.CPU, s.User,
		s.System, s.PerCommand, s.PerGB)
	if s.PerSignIn > 0 {
		fmt.Fprintf(b, ", %.1f us a sign-in", s.PerSignIn)
	}
	fmt.Fprintf(b, "\nmemory (Pss): %s before, %s at the end", bytesText(float64(s.MemoryBefore)),
		bytesText(float64(s.Memory)))
	if s.PssPerSession > 0 {
		fmt.Fprintf(b, ": %s a session", bytesText(s.PssPerSession))
	} else {
		b.WriteString(": it did not grow")
	}
	b.WriteString("\n")
	if s.Problem != "" {
		fmt.Fprintf(b, "NOT COMPLETE: %s\n", s.Problem)
	}
}

func (r *Report) writeErrors(b *strings.Builder) {
	if len(r.Errors) == 0 {
		b.WriteString("\nno errors\n")
		return
	}
	fmt.Fprintf(b, "\n%d errors\n", r.Totals.Errors)
	for _, e := range r.Errors {
		fmt.Fprintf(b, "  %s: %d\n", e.Kind, e.Count)
		for _, sample := range e.Samples {
			fmt.Fprintf(b, "    %s\n", sample)
		}
	}
}

// micros formats microseconds with a unit.
func micros(us int64) string {
	switch d := time.Duration(us) * time.Microsecond; {
	case d < time.Millisecond:
		return fmt.Sprintf("%d us", us)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(us)/1e3)
	case d < 10*time.Second:
		return fmt.Sprintf("%.0f ms", float64(us)/1e3)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}

// short formats a number with few digits.
func short(n float64) string {
	switch {
	case n == float64(int64(n)) || n >= 1000:
		return fmt.Sprintf("%.0f", n)
	case n >= 10:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

// bytesText formats a number of bytes in binary units.
func bytesText(n float64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", n/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.2f MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.2f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.0f B", n)
}
