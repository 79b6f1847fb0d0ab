package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Limits of files with reports.
const (
	maxReportFile = 1 << 30
	maxReports    = 10_000
)

// LoadReports reads the reports of a file, one for each round. The file holds one or several reports of bench run as
// JSON, or one of bench compare, of which LoadReports takes one target. The target may be empty if there is only one.
func LoadReports(file, target string) ([]*Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reports, err := readReports(io.LimitReader(f, maxReportFile), target)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return reports, nil
}

func readReports(r io.Reader, target string) ([]*Report, error) {
	var all []*Report
	for decoder := json.NewDecoder(r); ; {
		var text json.RawMessage
		if err := decoder.Decode(&text); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		reports, err := decodeReports(text, target)
		if err != nil {
			return nil, err
		}
		if all = append(all, reports...); len(all) > maxReports {
			return nil, fmt.Errorf("more than %d reports", maxReports)
		}
	}
	for i, report := range all {
		if report.Setup.Profile == "" || len(report.Rows) == 0 {
			return nil, fmt.Errorf("report %d was not written by bench run -o json", i+1)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the file has no report: bench run and bench compare write one with -o json")
	}
	return all, nil
}

// decodeReports reads the report of a run, or the rounds of one target from a comparison.
func decodeReports(text []byte, target string) ([]*Report, error) {
	var comparison struct {
		Results []Result `json:"results"`
	}
	if err := json.Unmarshal(text, &comparison); err != nil {
		return nil, err
	}
	if len(comparison.Results) > 0 {
		return reportsOf(comparison.Results, target)
	}
	var report Report
	return []*Report{&report}, json.Unmarshal(text, &report)
}

// reportsOf returns one target's rounds from a comparison.
func reportsOf(results []Result, target string) ([]*Report, error) {
	var names []string
	for _, r := range results {
		if r.Name == cmp.Or(target, r.Name) && (target != "" || len(results) == 1) {
			return r.Reports, nil
		}
		names = append(names, r.Name)
	}
	return nil, fmt.Errorf("it compares %s; name one with --target", strings.Join(names, ", "))
}

// kind returns the options that decide what the figures mean, by name and value.
func (s *Setup) kind() []struct{ name, value string } {
	text := func(v any) string { return fmt.Sprint(v) }
	return []struct{ name, value string }{
		{"profile", s.Profile}, {"profile's content", s.ProfileDigest}, {"TLS", s.TLS}, {"TLS version", s.TLSVersion},
		{"key exchange", s.Curve}, {"mechanism", s.Mechanism}, {"ID", text(s.ID)}, {"compression", text(s.Compress)},
		{"closed loop", text(s.Closed)}, {"checks", s.Verify}, {"time-out", text(s.Timeout)}, {"grace", text(s.Grace)},
		{"backlog", text(s.Backlog)}, {"duration", text(s.Duration)}, {"warm-up", text(s.WarmUp)},
	}
}

// size returns the options that say how much work was done.
func (s *Setup) size() []struct{ name, value string } {
	return []struct{ name, value string }{
		{"sessions", fmt.Sprint(s.Sessions)}, {"users", fmt.Sprint(s.Users)}, {"rate", fmt.Sprint(s.Rate)},
		{"ramp", fmt.Sprint(s.Ramp)},
	}
}

// differences names the options that differ between two lists.
func differences(a, b []struct{ name, value string }) []string {
	var all []string
	for i := range a {
		if a[i].value != b[i].value {
			all = append(all, fmt.Sprintf("%s: %q and %q", a[i].name, a[i].value, b[i].value))
		}
	}
	return all
}
