package table

import (
	"strings"
	"time"
)

// How people read a time: with its zone, which most often is whole hours, and so that commands take it back.
const (
	timeForm   = "2006-01-02 15:04:05Z07"
	minuteForm = "2006-01-02 15:04:05Z07:00"
)

// Time formats a time in the local zone; the zero time is "".
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.Local()
	if _, offset := t.Zone(); offset%3600 != 0 {
		return t.Format(minuteForm)
	}
	return t.Format(timeForm)
}

// PreciseTime formats a time in a zone, with milliseconds.
func PreciseTime(t time.Time, zone *time.Location) string {
	t = t.In(zone)
	form := timeForm
	if _, offset := t.Zone(); offset%3600 != 0 {
		form = minuteForm
	}
	return t.Format(strings.Replace(form, ":05", ":05.000", 1))
}

// ParseTime parses the form of Time, and RFC 3339.
func ParseTime(text string) (t time.Time, err error) {
	for _, form := range []string{timeForm, minuteForm, time.RFC3339} {
		if t, err = time.Parse(form, text); err == nil {
			break
		}
	}
	return t, err
}

// dateLengths are the lengths of what a cut time loses, in this order: its year, its month, its whole date.
var dateLengths = [...]int{len("2006-"), len("2006-01-"), len("2006-01-02 ")}

// isTime reports whether a cell is a time.
func isTime(cell string) bool {
	_, err := ParseTime(cell)
	return err == nil
}

// leastOf returns the smallest width of a column with this cell. A time keeps its clock time and zone.
func leastOf(cell string) int {
	if isTime(cell) {
		return displayWidth(cutMark) + len(cell) - dateLengths[len(dateLengths)-1]
	}
	return leastWidth
}

// cutCell cuts a cell. A time loses its date first, and the mark replaces the date.
func cutCell(cell string, columns int) string {
	if displayWidth(cell) <= columns || !isTime(cell) {
		return Cut(cell, columns)
	}
	for _, n := range dateLengths {
		if shorter := cutMark + strings.TrimSpace(cell[n:]); displayWidth(shorter) <= columns {
			return shorter
		}
	}
	return Cut(cell, columns)
}
