package secret

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestValue(t *testing.T) {
	v := Value("wonder")
	encoded, err := json.Marshal(struct{ Of []Value }{[]Value{v}})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		fmt.Sprint(v), fmt.Sprintf("%v %+v %#v %s %q %x %d", v, &v, v, v, v, v, v), string(encoded), v.String(),
		v.GoString(),
	} {
		if strings.Contains(got, "wonder") || strings.Contains(got, fmt.Sprintf("%x", "wonder")) ||
			!strings.Contains(got, Mask) {
			t.Errorf("got %q", got)
		}
	}
	if v.Reveal() != "wonder" {
		t.Error("Reveal does not")
	}
}
