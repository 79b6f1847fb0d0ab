package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The file is text, so that people can read it when nothing else helps:
//
//	portico store 2 IDENTITY REVISION PREVIOUS
//	CRC REVISION "KEY" "VALUE"        one line for each entry, sorted by key
//	end SHA-256                       of everything above
//
// A change replaces the whole file. So a file is either whole or damaged: no
// damage can be mistaken for a write that was interrupted. PREVIOUS is the
// SHA-256 of the file that this one has replaced, "-" for the first one; files
// of earlier versions do not have it.
const (
	fileHead     = "portico store 2 "
	identityHead = "portico store identity 2 "
	fileEnd      = "end "
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The format of this version, and the words before its number in both files.
const (
	format       = 2
	fileWords    = "portico store "
	identityWord = "identity "
)

// laterFormat returns the number of a later format that both the file and its identity say they have; 0 if they do not.
// If only one does, a byte of it is damaged.
func laterFormat(text, identity []byte) int {
	_, line, _ := bytes.Cut(identity, []byte(" ")) // without its checksum
	var ofFile, ofIdentity int
	fmt.Sscanf(string(firstLine(text)), fileWords+"%d ", &ofFile)
	fmt.Sscanf(string(firstLine(line)), fileWords+identityWord+"%d ", &ofIdentity)
	if ofFile <= format || ofFile != ofIdentity {
		return 0
	}
	return ofFile
}

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return line
}

// state is the content of a store at one moment.
type state struct {
	identity string // of the store: 32 hex digits, the same in its file and its copies
	revision uint64
	previous string // the sum of the file before this one; "" if the file does not say
	entries  map[string]Entry
}

// encode returns the file of a state, and the sum at the end of the file.
func (s state) encode() (text []byte, sum string) {
	text = fmt.Appendf(nil, "%s%s %d", fileHead, s.identity, s.revision)
	if s.previous != "" {
		text = append(text, " "+s.previous...)
	}
	text = append(text, '\n')
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		e := s.entries[key]
		line := fmt.Sprintf("%d %+q %+q", e.Revision, e.Key, e.Value)
		text = fmt.Appendf(text, "%s %s\n", checksum(line), line)
	}
	sum = sumOf(text)
	return append(text, fileEnd+sum+"\n"...), sum
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// decode parses a file. If it is damaged, the flaws say where, and the state has the intact entries.
func decode(text []byte) (s state, sum string, flaws []Flaw) {
	s.entries = make(map[string]Entry)
	body, end := text, ""
	if i := bytes.LastIndex(text, []byte("\n"+fileEnd)); i >= 0 {
		body, end = text[:i+1], string(text[i+1:])
	}
	sum = sumOf(body)
	last, number := "", 0
	for line := range strings.Lines(string(body)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		what, key := "", ""
		if number == 1 {
			what = s.decodeHead(line)
		} else {
			key, what = s.decodeEntry(line, last)
		}
		if what != "" {
			flaws = append(flaws, Flaw{Line: number, Entry: key, What: what})
			continue
		}
		last = key
	}
	switch {
	case len(text) == 0:
		flaws = []Flaw{{What: "it is empty"}}
	case len(flaws) > 0: // they are more precise
	case end == "":
		flaws = append(flaws, Flaw{What: "its end is missing"})
	case end != fileEnd+sum+"\n":
		flaws = append(flaws, Flaw{What: "its first or last line is not as Portico wrote it"})
	}
	return s, sum, flaws
}

func (s *state) decodeHead(line string) (flaw string) {
	words, found := strings.CutPrefix(line, fileHead)
	if !found {
		return "it is not a Portico store"
	}
	identity, words, _ := strings.Cut(words, " ")
	revision, previous, more := strings.Cut(words, " ")
	n, err := strconv.ParseUint(revision, 10, 64)
	if err != nil || identity == "" || more && previous == "" {
		return "its first line is not as Portico wrote it"
	}
	s.identity, s.revision, s.previous = identity, max(s.revision, n), previous
	return ""
}

// decodeEntry adds the entry of a line. Its key must be greater than last. If the line is damaged, decodeEntry returns
// the key as far as it can be read.
func (s *state) decodeEntry(line, last string) (key, flaw string) {
	sum, line, _ := strings.Cut(line, " ")
	revision, words, _ := strings.Cut(line, " ")
	quotedKey, err := strconv.QuotedPrefix(words)
	if err == nil {
		key, err = strconv.Unquote(quotedKey)
	}
	if err != nil || sum != checksum(line) {
		return key, "its checksum does not match"
	}
	value, err := strconv.Unquote(strings.TrimPrefix(words, quotedKey+" "))
	n, numberErr := strconv.ParseUint(revision, 10, 64)
	if err != nil || numberErr != nil || key <= last {
		return key, "it cannot be read"
	}
	s.entries[key] = Entry{Key: key, Value: []byte(value), Revision: n}
	s.revision = max(s.revision, n)
	return key, ""
}

// mark is the identity of a store, in a file of its own. It shows that the store's file is missing, belongs to another
// store, or is older than what was written.
type mark struct {
	identity string
	revision uint64 // of the last file that was written
	sum      string // of that file
}

// unwritten is the sum in an identity whose first file is not written yet, and the previous sum in that file.
const unwritten = "-"

func (m mark) encode() []byte {
	line := fmt.Sprintf("%s%s %d %s", identityHead, m.identity, m.revision, m.sum)
	return []byte(checksum(line) + " " + line + "\n")
}

// decodeMark returns false if the text is damaged.
func decodeMark(text []byte) (m mark, whole bool) {
	sum, line, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	words := strings.Split(strings.TrimPrefix(line, identityHead), " ")
	if len(words) != 3 {
		return m, false
	}
	n, err := strconv.ParseUint(words[1], 10, 64)
	m = mark{identity: words[0], revision: n, sum: words[2]}
	return m, err == nil && sum == checksum(line) && bytes.Equal(text, m.encode())
}

// checksum is CRC-32C as eight hexadecimal digits.
func checksum(line string) string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(line), castagnoli))
}
