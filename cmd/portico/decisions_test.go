package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var decisionNumber = regexp.MustCompile(`(?m)^([0-9]+)\. `)

// Decisions stand in the order of their numbers. Markdown counts the entries of a list by itself, so a page says where
// numbers are not used: that ends the list, and the next one begins with its own number.
func TestDecisionsAreInOrder(t *testing.T) {
	text := readPage(t, "docs/decisions.md")
	before, end := 0, 0
	for _, at := range decisionNumber.FindAllStringSubmatchIndex(text, -1) {
		number, err := strconv.Atoi(text[at[2]:at[3]])
		if err != nil {
			t.Fatal(err)
		}
		switch gap := strings.Contains(text[end:at[0]], " not used.\n\n"); {
		case number <= before:
			t.Errorf("decision %d stands behind decision %d: sort decisions by number", number, before)
		case number > before+1 && !gap:
			t.Errorf("decision %d follows decision %d: say before it which numbers are not used", number, before)
		}
		before, end = number, at[1]
	}
	if before < 100 {
		t.Errorf("the last decision is %d: the page has more", before)
	}
}
