package relay

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A *tls.Conn keeps its read buffers until it is closed: 16 KiB, and more after a large message. Sessions are idle most
// of the time, so a loop lends one buffer to the session that it reads, and takes it back when no part of a record is
// left in it. crypto/tls has no API for that, so this file, and no other, accesses its fields by reflection. If the
// fields are not the expected ones, it does nothing.

// lentSize is the size of that buffer. It has room for the rest of one record and the next, so that bytes.Buffer does
// not allocate.
const lentSize = 80 << 10

// lentRead bounds one read into the buffer, so that little is left there when the session has to wait.
const lentRead = 32 << 10

// tlsFields has the offsets of the buffers in a tls.Conn. known says whether they are the expected ones.
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

// lend makes c read into buf, unless its own buffer has bytes. It says whether c now has buf.
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

// takeBack takes the read buffer from c and returns it. If bytes are left in it, c keeps it, and takeBack returns nil.
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
