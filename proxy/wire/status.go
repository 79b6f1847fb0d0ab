package wire

import "bytes"

// Status is a response's status (RFC 9051 section 7.1).
type Status uint8

// The statuses.
const (
	StatusNone Status = iota
	StatusOK
	StatusNO
	StatusBAD
	StatusBYE
	StatusPREAUTH
)

var statusNames = [...]string{StatusOK: "OK", StatusNO: "NO", StatusBAD: "BAD", StatusBYE: "BYE",
	StatusPREAUTH: "PREAUTH"}

// endsCommand says whether the status may stand behind a tag.
func (s Status) endsCommand() bool { return s == StatusOK || s == StatusNO || s == StatusBAD }

// statusOf returns the status of a word in any case.
func statusOf[T string | []byte](word T) Status {
	for s := StatusOK; s <= StatusPREAUTH; s++ {
		if equalFold(word, statusNames[s]) {
			return s
		}
	}
	return StatusNone
}

// maxCode bounds a response code's name, in bytes.
const maxCode = 32

// StatusText returns the response code of a status response, tagged or not, without its arguments, and the text after
// it, without the line end. A line that is not a status response has neither. Both are slices of the line.
func StatusText(line []byte) (code, text []byte) {
	line = trimLine(line)
	for range 2 { // the tag, the status
		at := bytes.IndexByte(line, ' ')
		if at < 0 {
			return nil, nil
		}
		line = line[at+1:]
	}
	if len(line) == 0 || line[0] != '[' {
		return nil, line
	}
	n := span(line[1:], charAtom, maxCode)
	code = line[1 : 1+n]
	end := bytes.IndexByte(line, ']')
	if end < 0 || n == 0 {
		return nil, nil
	}
	return code, bytes.TrimPrefix(line[end+1:], []byte(" "))
}
