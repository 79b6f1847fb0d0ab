package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setScalar reads text into a choice, duration, size, number, true/false or text.
func setScalar(into reflect.Value, text string) error {
	if c, ok := into.Interface().(choice); ok {
		if !slices.Contains(c.choices(), text) {
			return fmt.Errorf("must be one of %s, not %q", strings.Join(c.choices(), ", "), text)
		}
		into.SetString(text)
		return nil
	}
	if into.Type() == durationType {
		d, err := ParseDuration(text)
		if err != nil {
			return err
		}
		into.SetInt(int64(d))
		return nil
	}
	if into.Type() == sizeType {
		size, err := ParseSize(text)
		if err != nil {
			return err
		}
		into.SetInt(int64(size))
		return nil
	}
	switch into.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		into.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("must be a whole number, not %q", text)
		}
		into.SetInt(int64(n))
	default:
		into.SetString(text)
	}
	return nil
}

// scalarText returns a value in the form that setScalar reads.
func scalarText(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return FormatDuration(d)
	}
	return fmt.Sprint(v.Interface())
}

// checkRange checks a number or duration against its `range` tag.
func checkRange(f field) error {
	tag := f.tag.Get("range")
	if tag == "" {
		return nil
	}
	low, high := f.limits(tag)
	if n := f.value.Int(); n < low || n > high {
		return fmt.Errorf("must be in the range %s, not %s", tag, scalarText(f.value))
	}
	return nil
}

// limits returns the bounds of a `range` tag in the unit of the field.
func (f field) limits(tag string) (low, high int64) {
	from, to, _ := strings.Cut(tag, "..")
	var ends [2]int64
	for i, text := range []string{from, to} {
		end := reflect.New(f.value.Type()).Elem()
		if err := setScalar(end, text); err != nil {
			panic("configs: range tag of " + f.path + ": " + err.Error()) // a tag is code, not input
		}
		ends[i] = end.Int()
	}
	return ends[0], ends[1]
}

// checkChoice refuses values outside a closed set. Those come from code: the reader has refused the file's.
func checkChoice(f field) error {
	c, ok := f.value.Interface().(choice)
	if !ok || slices.Contains(c.choices(), f.value.String()) {
		return nil
	}
	if f.value.String() == "" {
		return fmt.Errorf("is missing: one of %s", strings.Join(c.choices(), ", "))
	}
	return fmt.Errorf("must be one of %s, not %q", strings.Join(c.choices(), ", "), f.value.String())
}
