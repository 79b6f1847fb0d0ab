package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/configs/suggest"
	"portico/health/admin"
	"portico/health/catalogue"
	"portico/protolog"
)

// fields are the fields for --where and --sort, and their values: a text, a number, or a time in seconds.
type fields[Row any] map[string]func(Row) string

// find returns a field by name. The error for an unknown name suggests one.
func (f fields[Row]) find(name string) (func(Row) string, error) {
	names := slices.Sorted(maps.Keys(f))
	for _, known := range names {
		if strings.EqualFold(known, name) {
			return f[known], nil
		}
	}
	if near := suggest.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("there is no field %s; did you mean %s?", name, near)
	}
	return nil, fmt.Errorf("there is no field %s; the fields are %s", name, strings.Join(names, ", "))
}

// where parses a condition in the form of PowerShell's Where-Object, as far as it is supported. kinds refuse values
// that can match nothing.
func (f fields[Row]) where(text string, kinds map[string]kind) (func(Row) bool, error) {
	var all []func(Row) bool
	for part := range strings.SplitSeq(text, " -and ") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 {
			return nil, fmt.Errorf("--where: %q is not a condition: write FIELD -eq VALUE, all of it in quotes: "+
				"--where 'FIELD -eq VALUE'", strings.TrimSpace(part))
		}
		field, err := f.find(strings.TrimPrefix(strings.TrimPrefix(words[0], "$_."), "$PSItem."))
		if err != nil {
			return nil, fmt.Errorf("--where: %w", err)
		}
		holds, ok := operators[strings.ToLower(words[1])]
		if !ok {
			return nil, fmt.Errorf("--where: %q is not one of %s", words[1],
				strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
		}
		value := strings.Trim(strings.Join(words[2:], " "), `"'`)
		if !strings.Contains(value, `\`) {
			value = catalogue.Canonical(value) // a monitor may have another spelling
		}
		name := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(words[0], "$_."), "$PSItem."))
		if takes := kinds[name]; takes != nil && value != "" {
			if value, err = takes(strings.ToLower(words[1]), value); err != nil {
				return nil, fmt.Errorf("--where: %w", err)
			}
		}
		all = append(all, func(row Row) bool { return holds(field(row), value) })
	}
	return func(row Row) bool {
		return !slices.ContainsFunc(all, func(test func(Row) bool) bool { return !test(row) })
	}, nil
}

// kind returns the value of a condition in the form of the rows, or an error if no row can have it.
type kind func(operator, value string) (string, error)

// oneOf is a kind with a closed set of values; known lists them.
func oneOf(what string, known func() ([]string, error)) kind {
	return func(operator, value string) (string, error) {
		all, err := known()
		if err != nil {
			return "", err
		}
		fits := func(k string) bool { return strings.EqualFold(k, value) }
		switch operator {
		case "-gt", "-ge", "-lt", "-le":
			return "", fmt.Errorf("%s compares numbers and times, and %s has neither", operator, what)
		case "-like", "-notlike":
			fits = func(k string) bool { return like(k, value) }
		}
		if !slices.ContainsFunc(all, fits) {
			return "", admin.NoSuch(what, value, all)
		}
		return value, nil
	}
}

// seconds is a kind of numbers that may be written as times.
func seconds(operator, value string) (string, error) {
	if _, ok := number(value); ok || strings.HasSuffix(operator, "like") {
		return value, nil
	}
	d, err := parseTime(value)
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64), err
}

// plainNumber is a kind of numbers, which may have a percent sign.
func plainNumber(operator, value string) (string, error) {
	value = strings.TrimSuffix(value, "%")
	if _, err := strconv.ParseFloat(value, 64); err != nil && !strings.HasSuffix(operator, "like") {
		return "", fmt.Errorf("%q is not a number", value)
	}
	return value, nil
}

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
func compareText(a, b string) int {
	x, isNumber := number(a)
	y, both := number(b)
	if isNumber && both {
		return cmp.Compare(x, y)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

// number parses a number, or a time such as 90s as seconds.
func number(text string) (float64, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d.Seconds(), true
	}
	return 0, false
}

// sort sorts rows by a field, with "-" before it in descending order. Rows with equal values keep their order.
func (f fields[Row]) sort(rows []Row, by string) error {
	if by == "" {
		return nil
	}
	name, down := strings.CutPrefix(by, "-")
	field, err := f.find(name)
	if err != nil {
		return fmt.Errorf("--sort: %w", err)
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		if down {
			a, b = b, a
		}
		return compareText(field(a), field(b))
	})
	return nil
}

// fitsAny reports whether a pattern matches one of the names. It ignores case; * is any characters, as in all filters.
func fitsAny(pattern string, names ...string) bool {
	pattern = strings.ToLower(catalogue.Canonical(pattern))
	return slices.ContainsFunc(names, func(name string) bool { return protolog.Glob(pattern, strings.ToLower(name)) })
}
