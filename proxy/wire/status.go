package wire

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

var statusNames = [...]string{StatusOK: "OK", StatusNO: "NO", StatusBAD: "BAD", StatusBYE: "BYE", StatusPREAUTH: "PREAUTH"}

// endsCommand tells the statuses that may stand behind a tag.
func (s Status) endsCommand() bool { return s == StatusOK || s == StatusNO || s == StatusBAD }

// statusOf finds a word in any case.
func statusOf(word []byte) Status {
	for s := StatusOK; s <= StatusPREAUTH; s++ {
		if equalFold(word, statusNames[s]) {
			return s
		}
	}
	return StatusNone
}
