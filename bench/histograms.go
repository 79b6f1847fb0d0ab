package bench

import (
	"encoding/json"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are all latencies of a row. In JSON each is an HdrHistogram in its compressed V2 encoding, in base64,
// with microseconds as values.
type Latencies struct {
	done   *hdrhistogram.Histogram // nil is empty
	waited *hdrhistogram.Histogram // how long the session waited for what did not end well; nil is empty
}

// encodedLatencies is Latencies in JSON.
type encodedLatencies struct {
	Done   string `json:"done,omitempty"`
	Waited string `json:"not_done,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (l Latencies) MarshalJSON() ([]byte, error) {
	var e encodedLatencies
	var err error
	if e.Done, err = encodeHistogram(l.done); err != nil {
		return nil, err
	}
	if e.Waited, err = encodeHistogram(l.waited); err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Latencies) UnmarshalJSON(text []byte) error {
	var e encodedLatencies
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	var err error
	if l.done, err = decodeHistogram(e.Done); err != nil {
		return err
	}
	l.waited, err = decodeHistogram(e.Waited)
	return err
}

func encodeHistogram(h *hdrhistogram.Histogram) (string, error) {
	if h == nil || h.TotalCount() == 0 {
		return "", nil
	}
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	return string(encoded), err
}

// decodeHistogram reads a histogram with the bounds of ours. Others cannot be merged without loss.
func decodeHistogram(text string) (*hdrhistogram.Histogram, error) {
	if text == "" {
		return nil, nil
	}
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	ours := newHistogram()
	if lost := ours.Merge(h); lost > 0 || h.SignificantFigures() != ours.SignificantFigures() {
		return nil, fmt.Errorf("histogram: its values are not in the range of a load report")
	}
	return ours, nil
}
