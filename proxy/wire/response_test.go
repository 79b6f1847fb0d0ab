package wire

import (
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestReadResponse(t *testing.T) {
	noResponse := func(tag string, pos int) error { return &SyntaxError{tag, pos, "not an IMAP response"} }
	for _, c := range []struct {
		input string
		want  Response // Raw left out: it is the input up to "<"
		err   error
	}{
		{"* OK ready\r\n<", Response{Status: StatusOK, Text: "ready"}, nil},
		{"* ok [CAPABILITY X Y] ready\n<", Response{Status: StatusOK, Code: "CAPABILITY", CodeArg: "X Y",
			Text: "ready"}, nil},
		{"* PREAUTH hi\r\n<", Response{Status: StatusPREAUTH, Text: "hi"}, nil},
		{"* BYE\r\n<", Response{Status: StatusBYE}, nil},
		{"* BYE [unavailable]\r\n<", Response{Status: StatusBYE, Code: "UNAVAILABLE"}, nil},
		{"* NO [unclosed\r\n<", Response{Status: StatusNO, Text: "[unclosed"}, nil},
		{"* CAPABILITY a B\r\n<", Response{Name: "CAPABILITY", Text: "a B"}, nil},
		{"* 3 exists\r\n<", Response{Name: "3", Text: "exists"}, nil},
		{"* ID (\"name\" {2}\r\n\r\n \"x\" {0}\r\n)\r\n<", Response{Name: "ID", Text: "(\"name\" {2}"}, nil},
		{"* OK no literal {9}\r\n<", Response{Status: StatusOK, Text: "no literal {9}"}, nil},
		{"+ go on {9}\r\n<", Response{Kind: Continuation, Text: "go on {9}"}, nil},
		{"+\r\n<", Response{Kind: Continuation}, nil},
		{"+  x\n<", Response{Kind: Continuation, Text: " x"}, nil},
		{"a1 OK done\r\n<", Response{Kind: Tagged, Tag: "a1", Status: StatusOK, Text: "done"}, nil},
		{"a1 NO [AUTHENTICATIONFAILED] no {9}\r\n<", Response{Kind: Tagged, Tag: "a1", Status: StatusNO,
			Code: "AUTHENTICATIONFAILED", Text: "no {9}"}, nil},
		{"a1 BAD\r\n<", Response{Kind: Tagged, Tag: "a1", Status: StatusBAD}, nil},
		{"a1 BYE\r\n<", Response{Kind: Tagged, Tag: "a1", Status: StatusBYE}, noResponse("a1", 3)},
		{"a1 hm\r\n<", Response{Kind: Tagged, Tag: "a1"}, noResponse("a1", 3)},
		{"a1\r\n<", Response{}, noResponse("", 0)},
		{"\r\n<", Response{}, noResponse("", 0)},
		{" OK done\r\n<", Response{}, noResponse("", 0)},
		{"*\r\n<", Response{}, noResponse("", 0)},
		{"HTTP/1.1 400 Bad Request\r\n<", Response{Kind: Tagged, Tag: "HTTP/1.1"}, noResponse("HTTP/1.1", 9)},
		{strings.Repeat("t", 65) + " OK\r\n<", Response{}, noResponse("", 0)},
		{"", Response{}, io.EOF},
		{"* OK", Response{}, io.ErrUnexpectedEOF},
		{"* X {3}\r\n\r\n", Response{}, io.ErrUnexpectedEOF},
		{"* OK " + strings.Repeat("x", 75), Response{}, &LimitError{"response", 80}},
		{"* OK " + strings.Repeat("x", 74) + "\n<", Response{Status: StatusOK, Text: strings.Repeat("x", 74)}, nil},
		{"* OK " + strings.Repeat("x", 75) + "\n", Response{}, &LimitError{"response", 80}},
		{"* X {72}\n", Response{}, &LimitError{"response", 80}},
		{"* X {81}\n", Response{}, &LimitError{"literal", 80}},
		{"* X {70}\n" + strings.Repeat("x", 70) + "\n<", Response{Name: "X", Text: "{70}"}, nil},
		{"* X {70}\n" + strings.Repeat("x", 70) + ")\n", Response{}, &LimitError{"response", 80}},
	} {
		t.Run(c.input, func(t *testing.T) {
			eachSource(t, c.input, func(t *testing.T, src io.Reader) {
				got, err := NewResponseReader(src, 80).ReadResponse()
				sameError(t, err, c.err)
				if raw, _, ok := strings.Cut(c.input, "<"); ok {
					c.want.Raw = []byte(raw)
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("got  %+q\nwant %+q", got, c.want)
				}
			})
		})
	}
}

func TestResponseCapabilities(t *testing.T) {
	for input, want := range map[string]Capabilities{
		"* CAPABILITY a B\r\n":           {"A", "B"},
		"* OK [CAPABILITY a B] x\r\n":    {"A", "B"},
		"t OK [capability A] x\r\n":      {"A"},
		"* OK [ALERT] CAPABILITY x\r\n":  nil,
		"* OK x [CAPABILITY X]\r\n":      nil,
		"+ CAPABILITY X\r\n":             nil,
		"* LIST () NIL CAPABILITY\r\n":   nil,
		"* OK [UNKNOWN-CTE CAPABILITY\n": nil,
	} {
		resp, err := NewResponseReader(strings.NewReader(input), 80).ReadResponse()
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := resp.Capabilities(); !reflect.DeepEqual(got, want) || ok != (want != nil) {
			t.Errorf("%q: %q, %v", input, got, ok)
		}
	}
}

func TestResponseReaderStaysInStep(t *testing.T) {
	r := NewResponseReader(strings.NewReader("* OK hi\r\nwhat?\r\na OK done\r\nrest"), 80)
	for i, bad := range []bool{false, true, false} {
		if _, err := r.ReadResponse(); (err != nil) != bad {
			t.Fatalf("response %d: %v", i, err)
		}
	}
	if string(r.Buffered()) != "rest" {
		t.Errorf("buffered %q", r.Buffered())
	}
	r.Reset(strings.NewReader("* OK again\r\n"))
	if resp, err := r.ReadResponse(); resp.Text != "again" || err != nil {
		t.Errorf("%q, %v", resp.Raw, err)
	}
}
