package admin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/configs/suggest"
	"portico/health/catalogue"
	"portico/protolog"
)

// Fields are the fields of rows for conditions and sorting, and their values: a text, a number, or a time in seconds.
type Fields[Row any] map[string]func(Row) string

// find returns a field by name. The error for an unknown name suggests one.
func (f Fields[Row]) find(name string) (func(Row) string, error) {
	names := slices.Sorted(maps.Keys(f))
	for _, known := range names {
		if strings.EqualFold(known, name) {
			return f[known], nil
		}
	}
	if near := suggest.Nearest(name, names); near != "" {
		return nil, invalid("there is no field %s; did you mean %s?", name, near)
	}
	return nil, invalid("there is no field %s; the fields are %s", name, strings.Join(names, ", "))
}

func invalid(format string, args ...any) error { return Of(KindInvalid, fmt.Errorf(format, args...)) }

// Conditions are what all rows of an answer fulfil.
type Conditions []condition

// condition compares a field with a value.
type condition struct{ field, operator, value string }

// String returns the conditions in the form that Parse reads.
func (c Conditions) String() string {
	var all []string
	for _, one := range c {
		all = append(all, one.field+" "+one.operator+" '"+one.value+"'")
	}
	return strings.Join(all, and)
}

// and joins conditions.
const and = " -and "

// Parse reads conditions in the form of PowerShell's Where-Object, as far as it is supported. kinds refuse values that
// can match nothing.
func (f Fields[Row]) Parse(text string, kinds map[string]ValueKind) (all Conditions, err error) {
	for part := range strings.SplitSeq(text, and) {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 {
			return nil, invalid("%q is not a condition: write FIELD -eq VALUE, all of it in quotes: "+
				"--where 'FIELD -eq VALUE'", strings.TrimSpace(part))
		}
		c := condition{field: strings.TrimPrefix(strings.TrimPrefix(words[0], "$_."), "$PSItem."),
			operator: strings.ToLower(words[1]), value: strings.Trim(strings.Join(words[2:], " "), `"'`)}
		if _, err := f.find(c.field); err != nil {
			return nil, err
		}
		if !IsOperator(c.operator) {
			return nil, invalid("%q is not one of %s", words[1],
				strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
		}
		if !strings.Contains(c.value, `\`) {
			c.value = catalogue.Canonical(c.value) // a monitor may have another spelling
		}
		if takes := kinds[strings.ToLower(c.field)]; takes != nil && c.value != "" {
			if c.value, err = takes(c.operator, c.value); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// Test returns a function that says whether a row fulfils all conditions, which Parse of the same fields has returned.
func (f Fields[Row]) Test(all Conditions) func(Row) bool {
	var tests []func(Row) bool
	for _, c := range all {
		field, err := f.find(c.field)
		if err != nil {
			continue // Parse has found it
		}
		holds := operators[c.operator]
		tests = append(tests, func(row Row) bool { return holds(field(row), c.value) })
	}
	return func(row Row) bool {
		return !slices.ContainsFunc(tests, func(test func(Row) bool) bool { return !test(row) })
	}
}

// ValueKind returns the value of a condition in the form of the rows, or an error if no row can have it.
type ValueKind func(operator, value string) (string, error)

// OneOf is the kind of a field with a closed set of values; known lists them.
func OneOf(what string, known func() ([]string, error)) ValueKind {
	return func(operator, value string) (string, error) {
		all, err := known()
		if err != nil {
			return "", err
		}
		fits := func(k string) bool { return strings.EqualFold(k, value) }
		switch operator {
		case "-gt", "-ge", "-lt", "-le":
			return "", invalid("%s compares numbers and times, and %s has neither", operator, what)
		case "-like", "-notlike":
			fits = func(k string) bool { return like(k, value) }
		}
		if !slices.ContainsFunc(all, fits) {
			return "", NoSuch(what, value, all)
		}
		return value, nil
	}
}

// IsOperator says whether a word compares, as -eq does.
func IsOperator(word string) bool { return operators[word] != nil }

// operators compare a field with a value. They ignore case.
var operators = map[string]func(field, value string) bool{
	"-eq":      func(field, value string) bool { return compareText(field, value) == 0 },
	"-ne":      func(field, value string) bool { return compareText(field, value) != 0 },
	"-gt":      func(field, value string) bool { return compareText(field, value) > 0 },
	"-ge":      func(field, value string) bool { return compareText(field, value) >= 0 },
	"-lt":      func(field, value string) bool { return compareText(field, value) < 0 },
	"-le":      func(field, value string) bool { return compareText(field, value) <= 0 },
	"-like":    like,
	"-notlike": func(field, value string) bool { return !like(field, value) },
}

// like reports whether a pattern matches: * is any characters, ? is one.
func like(field, pattern string) bool {
	return protolog.Glob(strings.ToLower(pattern), strings.ToLower(field))
}

// compareText compares two numbers or times by size, and other texts alphabetically.
func compareText(a, b string) int { return compareKeys(keyOf(a), keyOf(b)) }

// key is a value for comparing: a number, if the text is a number or a time such as 90s.
type key struct {
	text     string // in lower case
	number   float64
	isNumber bool
}

func keyOf(text string) key {
	k := key{text: strings.ToLower(text)}
	if text == "" || !strings.ContainsRune("0123456789+-.", rune(text[0])) {
		return k // the errors of what follows would take most of the time of a long list
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		k.number, k.isNumber = n, true
	} else if d, err := time.ParseDuration(text); err == nil {
		k.number, k.isNumber = d.Seconds(), true
	}
	return k
}

func compareKeys(a, b key) int {
	if a.isNumber && b.isNumber {
		return cmp.Compare(a.number, b.number)
	}
	return strings.Compare(a.text, b.text)
}

// Sort sorts rows by a field, with "-" before it in descending order. Rows with equal values keep their order.
func (f Fields[Row]) Sort(rows []Row, by string) error {
	if by == "" {
		return nil
	}
	name, down := strings.CutPrefix(by, "-")
	field, err := f.find(name)
	if err != nil {
		return err
	}
	type keyed struct {
		key
		at int // rows are large: only their numbers move
	}
	sorted := make([]keyed, len(rows))
	for i, row := range rows {
		sorted[i] = keyed{keyOf(field(row)), i}
	}
	slices.SortFunc(sorted, func(a, b keyed) int {
		order := compareKeys(a.key, b.key)
		if down {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(a.at, b.at))
	})
	before := slices.Clone(rows)
	for i := range sorted {
		rows[i] = before[sorted[i].at]
	}
	return nil
}

// First sorts rows, and leaves out those behind the limit.
func (f Fields[Row]) First(rows []Row, o Order) ([]Row, error) {
	if err := f.Sort(rows, o.Sort); err != nil {
		return nil, err
	}
	if o.Limit > 0 {
		rows = rows[:min(o.Limit, len(rows))]
	}
	return rows, nil
}

// Order says which rows come first, and how many are wanted.
type Order struct {
	Sort  string `query:"sort"`              // a field; with - in front of it, in descending order
	Limit int    `query:"limit" minimum:"0"` // of rows; 0 for all
}
