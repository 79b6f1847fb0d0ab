package bench

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Condition compares one figure of a report with a limit, for example "p99>100ms" or "UID FETCH errors>0.1%".
type Condition struct {
	text    string
	what    string // the rows, in capitals; "" is all operations, and for errors the whole run
	measure measure
	percent float64 // of measurePercentile
	compare comparison
	limit   float64 // in the measure's unit: microseconds, errors or their part, operations per second
	share   bool    // errors are compared as a part of all
}

// measure is the figure of a condition.
type measure uint8

const (
	measurePercentile measure = iota
	measureMean
	measureMax
	measureErrors
	measureRate
)

var measureNames = map[string]measure{
	"mean": measureMean, "max": measureMax, "errors": measureErrors, "rate": measureRate,
}

// comparison is the operator of a condition.
type comparison string

// holds compares two numbers.
func (c comparison) holds(value, limit float64) bool {
	switch c {
	case ">":
		return value > limit
	case ">=":
		return value >= limit
	case "<":
		return value < limit
	case "<=":
		return value <= limit
	case "!=":
		return value != limit
	}
	return value == limit
}

// The groups of rows that have names of their own.
const (
	allOperations = "OPERATIONS"
	allCommands   = "COMMANDS"
)

// conditionForm splits a condition into what, measure, comparison and limit.
var conditionForm = regexp.MustCompile(`^\s*(?:(.*?)\s+)?(p[0-9.]+|mean|max|errors|rate)\s*(<=|>=|==|!=|=|<|>)\s*(\S.*?)\s*$`)

// conditionExamples end an error about a condition that cannot be read.
const conditionExamples = `write for example "p99>100ms", "errors>0", "rate<950" or "FETCH p99>100ms"`

// ParseCondition reads a condition: [WHAT] MEASURE COMPARISON LIMIT. WHAT is a row of the report, a command,
// "operations" or "commands".
func ParseCondition(text string) (Condition, error) {
	c := Condition{text: strings.Join(strings.Fields(text), " ")}
	bad := func(format string, args ...any) (Condition, error) {
		return Condition{}, fmt.Errorf("condition %q: %s", text, fmt.Sprintf(format, args...))
	}
	parts := conditionForm.FindStringSubmatch(text)
	if parts == nil {
		return bad("%s", conditionExamples)
	}
	c.what = strings.ToUpper(strings.Join(strings.Fields(parts[1]), " "))
	c.compare = comparison(parts[3])
	if !knownRows(c.what) {
		return bad("%q is neither a command nor a row of a report; leave it out for whole operations", parts[1])
	}
	var err error
	if c.measure, c.percent, err = parseMeasure(parts[2]); err == nil {
		c.limit, c.share, err = c.measure.parseLimit(parts[4])
	}
	if err != nil {
		return bad("%v", err)
	}
	return c, nil
}

// ParseConditions reads several.
func ParseConditions(texts []string) ([]Condition, error) {
	var all []Condition
	for _, text := range texts {
		c, err := ParseCondition(text)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func parseMeasure(text string) (measure, float64, error) {
	digits, isPercentile := strings.CutPrefix(text, "p")
	if !isPercentile {
		return measureNames[text], 0, nil
	}
	percent, err := strconv.ParseFloat(digits, 64)
	if err != nil || percent <= 0 || percent >= 100 {
		return 0, 0, fmt.Errorf("%s is not a percentile; write for example p50, p99 or p99.9, or max", text)
	}
	return measurePercentile, percent, nil
}

// parseLimit reads a limit in the measure's unit.
func (m measure) parseLimit(text string) (limit float64, share bool, err error) {
	switch m {
	case measureErrors:
		digits, share := strings.CutSuffix(text, "%")
		limit, err := parseNumber(digits)
		if err != nil || share && limit > 100 {
			return 0, false, fmt.Errorf("%q is neither a number of errors nor a percentage", text)
		}
		if share {
			limit /= 100
		}
		return limit, share, nil
	case measureRate:
		limit, err := parseNumber(strings.TrimSuffix(text, "/s"))
		if err != nil {
			return 0, false, fmt.Errorf("%q is not a rate; write a number per second", text)
		}
		return limit, false, nil
	}
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil || d < 0 || d > maxLatency {
		return 0, false, fmt.Errorf("%q is not a latency; write a number with its unit, such as 250us or 1.5s, "+
			"at most %v",
			text, maxLatency)
	}
	return float64(d) / float64(time.Microsecond), false, nil
}

// parseNumber reads a number that is finite and not negative.
func parseNumber(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err == nil && (n < 0 || math.IsNaN(n) || math.IsInf(n, 0)) {
		err = strconv.ErrRange
	}
	return n, err
}

// knownRows reports whether a condition's WHAT names rows that a report can have.
func knownRows(what string) bool {
	if what == "" || what == allOperations || what == allCommands {
		return true
	}
	for r := range row(numRows) {
		if isRow(what, r.String(), r.command()) {
			return true
		}
	}
	return false
}

// isRow reports whether WHAT names the row, or the command of the row: FETCH also names UID FETCH.
func isRow(what, name string, command bool) bool {
	name = strings.ToUpper(name)
	if name == what {
		return true
	}
	verb, _, _ := strings.Cut(strings.TrimPrefix(name, "UID "), " ")
	return command && verb == what
}

// takes reports whether the condition applies to the row.
func (c Condition) takes(row Row) bool {
	switch c.what {
	case "", allOperations:
		return row.operation()
	case allCommands:
		return row.Command
	}
	return isRow(c.what, row.Name, row.Command)
}

// String returns the condition as it was written.
func (c Condition) String() string { return c.text }
