package relay

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A *tls.Conn keeps the buffers it has read with for as long as it lives, 16 KiB and more after a large message.
// Sessions are idle most of the time, so a loop lends one buffer to whichever session it is reading, and takes it back
// when nothing of a record is left in it. crypto/tls has no word for that: this file reaches into its fields, and is
// the only one that does. Where they are not what it knows, it does nothing.

// lentSize is the size of that buffer: with it, bytes.Buffer finds room for the next record behind the rest of one
// without allocating.
const lentSize = 80 << 10

// lentRead bounds one read into it, so that not much is left there when the session has to pause.
const lentRead = 32 << 10

// tlsFields is where in a tls.Conn its buffers are.
type tlsFields struct {
	rawInput, input, hand uintptr
	known                 bool
}

var inTLS = findTLSFields(reflect.TypeFor[tls.Conn]())

func findTLSFields(conn reflect.Type) tlsFields {
	raw, hasRaw := conn.FieldByName("rawInput")  // records as read
	input, hasInput := conn.FieldByName("input") // what is left of one decrypted, inside rawInput
	hand, hasHand := conn.FieldByName("hand")    // handshake messages
	known := hasRaw && hasInput && hasHand && raw.Type == reflect.TypeFor[bytes.Buffer]() &&
		input.Type == reflect.TypeFor[bytes.Reader]() && hand.Type == reflect.TypeFor[bytes.Buffer]()
	return tlsFields{raw.Offset, input.Offset, hand.Offset, known}
}

// lend gives c a buffer to read with, unless it has one with bytes in it. It says whether c has taken buf.
func (f *tlsFields) lend(c *tls.Conn, buf []byte) bool {
	if !f.known {
		return false
	}
	raw := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), f.rawInput))
	if raw.Len() > 0 {
		return false
	}
	*raw = *bytes.NewBuffer(buf[:0])
	return true
}

// takeBack returns the buffer that c reads with when nothing is left in it, and nil otherwise.
func (f *tlsFields) takeBack(c *tls.Conn) []byte {
	if !f.known {
		return nil
	}
	raw := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), f.rawInput))
	input := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(c), f.input))
	if raw.Len() > 0 || input.Len() > 0 {
		return nil
	}
	raw.Reset()
	buf := raw.AvailableBuffer()
	*raw = bytes.Buffer{}
	input.Reset(nil)
	if hand := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), f.hand)); hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
	return buf
}
