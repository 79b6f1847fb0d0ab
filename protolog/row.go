package protolog

import (
	"strconv"
	"time"
)

// Format is how rows are written.
type Format uint8

// The formats: Exchange's, and an object in each line with the same fields.
const (
	CSV Format = iota
	JSON
)

// Fields are the names of a row's fields, in order (docs/exchange.md).
var Fields = [...]string{
	"dateTime", "sessionId", "seqNumber", "sIp", "cIp", "user", "duration", "rqsize", "rpsize", "command",
	"parameters", "context", "puid",
}

// numFields is 13.
const numFields = len(Fields)

// timeForm is how a row says when: UTC, milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z"

// numeric says which fields are numbers in JSON.
var numeric = [numFields]bool{2: true, 6: true, 7: true, 8: true}

// rowWriter turns events into rows. It reuses its memory; it is not safe for concurrent use.
type rowWriter struct {
	context []byte
	field   []byte
	milli   int64 // when stamp is
	stamp   []byte
}

// append appends a row, line end included.
func (w *rowWriter) append(dst []byte, f Format, e *Event) []byte {
	w.context = appendContext(w.context[:0], e)
	if f == CSV {
		return w.appendCSV(dst, e)
	}
	s := e.Session
	for i := range numFields {
		dst = appendBefore(dst, f, i)
		switch i {
		case 0:
			w.field = w.appendTime(w.field[:0], e.Time)
		case 1:
			w.field = append(w.field[:0], s.id...)
		case 2:
			w.field = strconv.AppendUint(w.field[:0], uint64(e.Number), 10)
		case 3:
			w.field = append(w.field[:0], s.local...)
		case 4:
			w.field = append(w.field[:0], s.client...)
		case 5:
			w.field = append(w.field[:0], s.user...)
		case 6:
			w.field = strconv.AppendInt(w.field[:0], e.Duration.Milliseconds(), 10)
		case 7:
			w.field = strconv.AppendUint(w.field[:0], e.Request, 10)
		case 8:
			w.field = strconv.AppendUint(w.field[:0], e.Response, 10)
		case 9:
			w.field = append(w.field[:0], e.Command...)
		case 10:
			w.field = e.Parameters.AppendTo(w.field[:0])
		case 11:
			w.field = append(w.field[:0], w.context...)
		case 12: // Exchange's Passport id, empty as on premises
			w.field = w.field[:0]
		}
		dst = appendField(dst, f, i, w.field)
	}
	return appendEnd(dst, f)
}

// appendCSV does append's work for CSV. The context is made already. It is the most frequent case, so it has no loop
// over the fields.
func (w *rowWriter) appendCSV(dst []byte, e *Event) []byte {
	s := e.Session
	dst = append(w.appendTime(dst, e.Time), ',')
	dst = append(append(dst, s.id...), ',')
	dst = append(strconv.AppendUint(dst, uint64(e.Number), 10), ',')
	dst = append(append(dst, s.local...), ',')
	dst = append(append(dst, s.client...), ',')
	dst = append(appendCSV(dst, s.user), ',')
	dst = append(strconv.AppendInt(dst, e.Duration.Milliseconds(), 10), ',')
	dst = append(strconv.AppendUint(dst, e.Request, 10), ',')
	dst = append(strconv.AppendUint(dst, e.Response, 10), ',')
	dst = append(append(dst, e.Command...), ',')
	w.field = e.Parameters.AppendTo(w.field[:0])
	dst = append(appendCSV(dst, w.field), ',')
	return append(appendCSV(dst, w.context), ',', '\n')
}

// appendTime appends a row's time. Many rows share a millisecond.
func (w *rowWriter) appendTime(dst []byte, t time.Time) []byte {
	if milli := t.UnixMilli(); milli != w.milli || w.stamp == nil {
		w.milli, w.stamp = milli, t.UTC().AppendFormat(w.stamp[:0], timeForm)
	}
	return append(dst, w.stamp...)
}

// appendBefore appends the separator and, for JSON, the name of a field.
func appendBefore(dst []byte, f Format, i int) []byte {
	if f == CSV {
		if i > 0 {
			dst = append(dst, ',')
		}
		return dst
	}
	if i == 0 {
		dst = append(dst, '{', '"')
	} else {
		dst = append(dst, ',', '"')
	}
	dst = append(dst, Fields[i]...)
	return append(dst, '"', ':')
}

func appendEnd(dst []byte, f Format) []byte {
	if f == JSON {
		dst = append(dst, '}')
	}
	return append(dst, '\n')
}

func appendField(dst []byte, f Format, i int, text []byte) []byte {
	switch {
	case f == CSV:
		return appendCSV(dst, text)
	case numeric[i]:
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for _, c := range text { // valid UTF-8 without control characters; see printable
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// appendCSV quotes a field where it has to be (RFC 4180). No field has a line end: a cut is marked,
// whatever it is.
func appendCSV[T string | []byte](dst []byte, text T) []byte {
	quote := len(text) > 0 && text[0] == ' '
	for i := 0; i < len(text) && !quote; i++ {
		quote = text[i] == '"' || text[i] == ','
	}
	if !quote {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for i := range len(text) {
		if text[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}

// appendContext appends a row's context: key=value pairs, separated by semicolons.
func appendContext(dst []byte, e *Event) []byte {
	switch e.Result {
	case None:
	case OK:
		dst = append(dst, "R=OK"...)
	default:
		dst = append(append(dst, `R="`...), resultNames[e.Result]...)
		if code := e.code.bytes(); len(code) > 0 {
			dst = append(appendClean(append(dst, " ["...), code), ']')
		}
		if text := e.text.bytes(); len(text) > 0 {
			dst = appendClean(append(dst, ' '), text)
		}
		dst = append(dst, '"')
	}
	if e.Msg != "" {
		dst = append(appendClean(append(next(dst), `Msg="`...), []byte(e.Msg)), '"')
	}
	if e.Err != "" {
		dst = append(next(dst), "ErrMsg="...)
		dst = appendClean(dst, []byte(e.Err))
	}
	if e.Session.mailbox != "" {
		dst = append(append(next(dst), "_Mbx:"...), e.Session.mailbox...)
	}
	if e.Rows > 0 {
		dst = strconv.AppendInt(append(next(dst), "Rows="...), int64(e.Rows), 10)
	}
	if p := e.Phases; p != nil {
		for _, phase := range [...]struct {
			name string
			took time.Duration
		}{{"Directory", p.Directory}, {"Dial", p.Dial}, {"TLS", p.TLS}, {"Greeting", p.Greeting}, {"SignIn",
			p.SignIn}} {
			if phase.took > 0 {
				dst = append(append(next(dst), phase.name...), '=')
				dst = strconv.AppendFloat(dst, float64(phase.took.Microseconds())/1000, 'f', -1, 64)
			}
		}
	}
	return dst
}

// next appends the separator between two parts of a context.
func next(dst []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ';')
	}
	return dst
}

// appendClean appends a text in a form that is safe within quotes.
func appendClean(dst, text []byte) []byte {
	for _, c := range text {
		switch {
		case c == '"':
			c = '\''
		case c < ' ' || c >= 0x7f:
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}
