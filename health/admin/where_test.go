package admin

import (
	"slices"
	"strings"
	"testing"
)

// A field that does not exist is refused, with the one that is meant if one is near.
func TestFields(t *testing.T) {
	for text, words := range map[string]string{
		"For -gt 10": "", "$_.Age -gt 10": "", "Foo -eq 1": "the fields are", "Version -eq 1": "the fields are",
		"Agent -eq 1": "the fields are", "Usr -eq 1": "did you mean User?", "Age": "all of it in quotes",
		"Age -is 1": `"-is" is not one of -eq, -ge,`,
	} {
		_, err := SessionFields.Parse(text, nil)
		if (err == nil) != (words == "") || err != nil && (!strings.Contains(err.Error(), words) ||
			strings.Contains(err.Error(), "did you mean") != strings.HasPrefix(words, "did") ||
			KindOf(err) != KindInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Conditions can be sent on: what String returns means the same.
func TestConditionsAsText(t *testing.T) {
	rows := []SessionState{{ID: "1", User: "ann", Age: 5}, {ID: "2", User: "bob smith", Age: 50, Command: "IDLE"},
		{ID: "3", User: "o'neil", Age: 500}}
	for text, want := range map[string]string{
		"": "123", "Age -gt 10": "23", "age -GT 10s -and User -like '*o*'": "23", "Command -eq ''": "13",
		`User -eq "bob  smith"`: "2", "User -eq o'neil": "3", "User -eq o'neil' -and Age -ge 500": "3",
		"User -notlike b*": "13",
	} {
		conditions, err := SessionFields.Parse(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := SessionFields.Parse(conditions.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []Conditions{conditions, again} {
			got, fits := "", SessionFields.Test(c)
			for _, row := range rows {
				if fits(row) {
					got += row.ID
				}
			}
			if got != want {
				t.Errorf("%s: %s, want %s", text, got, want)
			}
		}
	}
}

// First sorts, and leaves out what is behind the limit.
func TestFirst(t *testing.T) {
	for order, want := range map[Order]string{
		{}: "231", {Sort: "Age"}: "132", {Sort: "-age"}: "231", {Sort: "-Age", Limit: 2}: "23", {Limit: 9}: "231",
		{Sort: "User"}: "231", // equal values keep their order
	} {
		rows, err := SessionFields.First([]SessionState{{ID: "2", Age: 100}, {ID: "3", Age: 20}, {ID: "1", Age: 3}},
			order)
		got := ""
		for _, row := range rows {
			got += row.ID
		}
		if got != want || err != nil {
			t.Errorf("%+v: %s, want %s (%v)", order, got, want, err)
		}
	}
	if _, err := SessionFields.First(slices.Clip([]SessionState{}), Order{Sort: "Agee"}); err == nil {
		t.Error("an unknown field sorts")
	}
}
