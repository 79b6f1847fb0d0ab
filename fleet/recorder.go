package fleet

import (
	"bytes"
	"net/http"
)

// Recorder keeps the answer of a handler, up to a size. It belongs to one goroutine. It implements http.ResponseWriter.
type Recorder struct {
	Limit    int  // of the body, in bytes
	TooLarge bool // the body would exceed Limit; what it has is then of no use

	header http.Header
	status int // 0 before the first byte
	body   bytes.Buffer
}

// Status returns the status of the answer.
func (w *Recorder) Status() int { return max(w.status, http.StatusOK) }

// Body returns the body of the answer. The caller must not change it.
func (w *Recorder) Body() []byte { return w.body.Bytes() }

// Header implements http.ResponseWriter.
func (w *Recorder) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *Recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // not 1xx
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *Recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.TooLarge = w.TooLarge || w.body.Len()+len(p) > w.Limit; w.TooLarge {
		return 0, ErrTooLarge
	}
	return w.body.Write(p)
}
