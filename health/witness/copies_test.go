package witness

import (
	"fmt"
	"slices"
	"testing"

	"portico/configs/store"
)

// Whether a copy can be read is decided by most of the present nodes that look at it. One that has said nothing yet, or
// looks elsewhere, does not count against the copy.
func TestUnreadable(t *testing.T) {
	const target = "db1@mbx2"
	site := []string{"mx1", "mx2", "mx3", "mx4", "mx5"}
	var look, others []string
	for _, node := range site {
		if looks(node, target, site) {
			look = append(look, node)
		} else {
			others = append(others, node)
		}
	}
	self, a, b, other := look[0], look[1], look[2], others[0]
	for _, test := range []struct {
		present, cannot, silent []string
		own                     bool
		want                    string
	}{
		{present: []string{self}, own: true, want: "true []"},
		{present: []string{self}, want: "false []"},
		{present: []string{self, a}, own: true, want: fmt.Sprintf("false [%s]", a)},
		{present: []string{self, a}, own: true, silent: []string{a}, want: fmt.Sprintf("false [%s]", a)},
		{present: site, own: true, want: fmt.Sprintf("false [%s %s]", a, b)},
		{present: site, own: true, cannot: []string{a}, want: fmt.Sprintf("true [%s]", b)},
		{present: site, own: true, cannot: []string{other}, want: fmt.Sprintf("false [%s %s]", a, b)},
		{present: site, cannot: []string{a}, want: fmt.Sprintf("false [%s]", b)},
		{present: site, cannot: []string{a, b}, want: "true []"},
		{present: []string{self, a}, cannot: []string{a, b}, want: "false []"},
	} {
		s := store.Memory()
		for _, node := range site {
			if slices.Contains(test.silent, node) {
				continue
			}
			said := seen{}
			if slices.Contains(test.cannot, node) {
				said.Copies = []string{target}
			}
			if err := store.SetOf[seen](s, storedSeen).Replace(t.Context(), node, said); err != nil {
				t.Fatal(err)
			}
		}
		w, err := Open(t.Context(), Options{Store: s, Node: self, Present: func() []string { return test.present }})
		if err != nil {
			t.Fatal(err)
		}
		w.follow()
		most, others := w.Unreadable(target, test.own)
		if got := fmt.Sprint(most, others); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
		s.Close()
	}
}
