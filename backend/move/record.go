package move

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"portico/configs/store"
)

// Phase says whether people may be let in to a thing.
type Phase string

// Phases of a record.
const (
	Open      Phase = "open"      // they are, at the record's place
	Closing   Phase = "closing"   // they are held, and only the record's place was used
	Suspended Phase = "suspended" // they are not: its storage is between places, or nobody knows at which it is
)

// Record says where a thing is served.
type Record struct {
	Phase   Phase    `json:"phase"`
	At      string   `json:"at"`                // the place where it is open, or was before the move
	To      string   `json:"to,omitempty"`      // where it goes; "" while it is open
	Between []string `json:"between,omitempty"` // the places that may be right, once a hook has begun
	By      string   `json:"by,omitempty"`      // the member that is moving it; "" if there is only one
}

// OpenAt is the record of a thing that is open at a place.
func OpenAt(place string) Record { return Record{Phase: Open, At: place} }

// Equal says whether two records are the same, whoever has stored them.
func (r Record) Equal(other Record) bool {
	return r.Phase == other.Phase && r.At == other.At && r.To == other.To && slices.Equal(r.Between, other.Between)
}

// Moving says whether a member is moving the thing, unless it is gone.
func (r Record) Moving() bool { return r.Phase == Closing || r.Phase == Suspended && r.By != "" }

// Before is what a record is without the move in progress: what it was before it began to close, or suspended.
func (r Record) Before() Record {
	if r.Phase != Closing {
		r.By = ""
		return r
	}
	if len(r.Between) > 0 {
		return Record{Phase: Suspended, At: r.At, Between: r.Between}
	}
	return OpenAt(r.At)
}

// Records are the records of a store below a prefix. An open one is its place alone, as earlier versions write and read
// it. Any other is a JSON object. An earlier version takes that for a place that it does not know, and lets nobody in.
func Records(s store.Store, prefix string) store.Set[Record] {
	return store.TextSetOf(s, prefix, Text, Parse)
}

// Text is a record as the store has it.
func Text(r Record) string {
	if r.Phase == Open {
		return r.At
	}
	text, _ := json.Marshal(r) // it is made of strings
	return string(text)
}

// Parse reads what Text has written.
func Parse(text string) (r Record, err error) {
	if !strings.HasPrefix(text, "{") {
		return OpenAt(text), nil
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Record{}, err
	}
	if r.Phase != Closing && r.Phase != Suspended {
		return Record{}, errors.New("the phase " + string(r.Phase) + " is not known")
	}
	return r, nil
}
