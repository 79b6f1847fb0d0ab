package relay

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"testing"
)

func TestKnowsWhereTLSKeepsItsBuffers(t *testing.T) {
	if !inTLS.known {
		t.Error("the fields of tls.Conn are not where they were: every idle TLS session costs its buffers again")
	}
}

func TestLeavesAnUnknownTLSAlone(t *testing.T) {
	tests := map[string]reflect.Type{
		"no such fields":    reflect.TypeFor[struct{ other int }](),
		"of another type":   reflect.TypeFor[struct{ rawInput, input, hand []byte }](),
		"one of them moved": reflect.TypeFor[struct{ rawInput, hand bytes.Buffer }](),
	}
	for name, conn := range tests {
		f := findTLSFields(conn)
		if f.known || f.lend(new(tls.Conn), make([]byte, 0, lentSize)) || f.takeBack(new(tls.Conn)) != nil {
			t.Errorf("%s: fields are taken for known", name)
		}
	}
}

// rawInput finds the buffer another way than the code does.
func rawInput(c *tls.Conn) *bytes.Buffer {
	return (*bytes.Buffer)(reflect.ValueOf(c).Elem().FieldByName("rawInput").Addr().UnsafePointer())
}

func TestTakesBackOnlyWhatIsEmpty(t *testing.T) {
	conn, buf := new(tls.Conn), make([]byte, 0, lentSize)
	if !inTLS.lend(conn, buf) {
		t.Fatal("a new connection takes no buffer")
	}
	if got := inTLS.takeBack(conn); cap(got) != lentSize {
		t.Errorf("a buffer of %d comes back", cap(got))
	}
	*rawInput(conn) = *bytes.NewBufferString("half a record")
	if inTLS.lend(conn, buf) || inTLS.takeBack(conn) != nil {
		t.Error("the half of a record is taken away")
	}
}
