package node

import (
	"strings"
	"testing"

	"portico/configs/applied"
)

// A rollback goes to the last configuration that was good before the one in force, and a second one further back. What
// Portico has withdrawn is not rolled back once more.
func TestRollbackTarget(t *testing.T) {
	const started, good, withdrawn = applied.Started, applied.Applied, applied.Withdrawn
	for name, c := range map[string]struct {
		records []applied.Record // the text is the hash
		inForce int
		want    int
		says    string
	}{
		"the one before": {[]applied.Record{{Result: started, Hash: "a"}, {Result: good, Hash: "b"}}, 2, 1, ""},
		"nothing before": {[]applied.Record{{Result: started, Hash: "a"}}, 1, 0,
			"no earlier configuration that was good"},
		"the same text before": {[]applied.Record{{Result: started, Hash: "a"}, {Result: good, Hash: "a"}}, 2, 0,
			"no earlier configuration that was good"},
		"one was not good": {[]applied.Record{{Result: started, Hash: "a"}, {Result: applied.Replaced, Hash: "b"},
			{Result: applied.Watched, Hash: "c"}}, 3, 1, ""},
		"a second rollback": {[]applied.Record{{Result: started, Hash: "a"}, {Result: good, Hash: "b"},
			{Result: good, Hash: "c"}, {Result: good, Hash: "b", BackTo: 2}}, 4, 1, ""},
		"a change after a rollback": {[]applied.Record{{Result: started, Hash: "a"}, {Result: good, Hash: "b"},
			{Result: good, Hash: "a", BackTo: 1}, {Result: good, Hash: "c"}}, 4, 3, ""},
		"the last one was withdrawn": {[]applied.Record{{Result: started, Hash: "a"}, {Result: good, Hash: "b"},
			{Result: withdrawn, Hash: "c"}}, 2, 0, "configuration 3 is not in force any more (withdrawn), and " +
			"configuration 2 is in force again; to go further back, run portico config rollback 1"},
		"it was interrupted, and nothing is before": {[]applied.Record{{Result: started, Hash: "a"},
			{Result: applied.Interrupted, Hash: "c"}}, 1, 0, "configuration 1 is in force again"},
		"the last one was refused": {[]applied.Record{{Result: started, Hash: "a"}, {Result: good, Hash: "b"},
			{Result: applied.Refused, Hash: "c"}}, 2, 1, ""},
		"a change after a withdrawn one": {[]applied.Record{{Result: started, Hash: "a"},
			{Result: withdrawn, Hash: "b"}, {Result: good, Hash: "c"}}, 3, 1, ""},
	} {
		var latestFirst []applied.Record
		for i, r := range c.records {
			r.Number = i + 1
			latestFirst = append([]applied.Record{r}, latestFirst...)
		}
		got, err := rollbackTarget(latestFirst, c.inForce)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}
