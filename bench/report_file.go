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
// JSON, a search, or one comparison of bench compare, of which LoadReports takes one target. The target may be empty if
// there is only one.
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
		if err := report.check(); err != nil {
			return nil, fmt.Errorf("report %d %w", i+1, err)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the file has no report: bench run and bench compare write one with -o json")
	}
	return all, nil
}

// decodeReports reads the report of a run, the rounds of one target from a comparison, or the report of the best step
// of a search.
func decodeReports(text []byte, target string) ([]*Report, error) {
	var whole struct {
		Results []Result  `json:"results"`
		Steps   []Step    `json:"steps"`
		Best    *Report   `json:"report"`
		Figures *[]Change `json:"figures"`
	}
	if err := decode(text, &whole); err != nil {
		return nil, err
	}
	switch {
	case len(whole.Results) > 0:
		return reportsOf(whole.Results, target)
	case target != "":
		return nil, errors.New("it does not compare targets: leave out --target")
	case whole.Figures != nil:
		return nil, errors.New("it holds what bench diff writes; give what bench run or bench compare writes")
	case whole.Steps != nil && whole.Best == nil:
		return nil, errors.New("it holds a search for a rate without any step")
	case whole.Steps != nil:
		return []*Report{whole.Best}, nil
	}
	var report Report
	return []*Report{&report}, decode(text, &report)
}

// decode reads JSON, with errors for people.
func decode(text []byte, to any) error {
	err := json.Unmarshal(text, to)
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		where := other.Field
		if where == "" {
			where = "the whole"
		}
		return fmt.Errorf("it holds no report of bench run or bench compare: in %s there is JSON of another kind (%s)",
			where, other.Value)
	}
	return err
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
		{"profile", s.Profile}, {"profile's content", s.ProfileDigest}, {"mechanism", s.Mechanism}, {"ID", text(s.ID)},
		{"compression", text(s.Compress)},
		{"closed loop", text(s.Closed)}, {"checks", s.Verify}, {"time-out", text(s.Timeout)}, {"grace", text(s.Grace)},
		{"backlog", text(s.Backlog)}, {"duration", text(s.Duration)}, {"warm-up", text(s.WarmUp)},
	}
}

// tls returns the options about TLS, which also decide what the figures mean.
func (s *Setup) tls() []struct{ name, value string } {
	return []struct{ name, value string }{
		{"TLS", s.TLS}, {"TLS version", s.TLSVersion}, {"key exchange", s.Curve},
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
