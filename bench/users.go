package bench

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Limits of users and passwords.
const (
	maxUsers        = 1_000_000
	maxPasswordFile = 32 << 20
	passwordMask    = "*****"
)

// Password is a secret. It always prints as *****.
type Password string

// String implements fmt.Stringer.
func (Password) String() string { return passwordMask }

// Format implements fmt.Formatter, so that no verb prints it.
func (Password) Format(f fmt.State, _ rune) { io.WriteString(f, passwordMask) }

// MarshalText implements encoding.TextMarshaler.
func (Password) MarshalText() ([]byte, error) { return []byte(passwordMask), nil }

// User is a user to sign in as.
type User struct {
	Name        string
	Password    Password         // for OAuth mechanisms the token; none for EXTERNAL
	Certificate *tls.Certificate // the user's own, if any
}

// ParseUsers parses a user name, or a pattern with a range such as "user%04d:1-2000", which means user0001 to
// user2000. The pattern must have %d or %0Nd once.
func ParseUsers(pattern string) ([]string, error) {
	before, rest, found := strings.Cut(pattern, "%")
	if !found {
		if err := checkName(pattern); err != nil {
			return nil, err
		}
		return []string{pattern}, nil
	}
	bad := func(why string) error {
		return fmt.Errorf("users %q: %s; write for example user%%04d:1-2000", pattern, why)
	}
	digits, after, found := strings.Cut(rest, "d")
	width := 0
	if digits != "" {
		var err error
		if width, err = strconv.Atoi(digits); err != nil || digits[0] != '0' || width > 20 {
			return nil, bad("only %d and %0Nd are known")
		}
	}
	colon := strings.LastIndexByte(after, ':')
	if !found || colon < 0 || strings.Contains(after, "%") {
		return nil, bad("needs one %d and a range")
	}
	first, last, ok := strings.Cut(after[colon+1:], "-")
	from, err1 := strconv.ParseUint(first, 10, 63)
	to, err2 := strconv.ParseUint(last, 10, 63)
	if !ok || err1 != nil || err2 != nil || to < from || to-from >= maxUsers {
		return nil, bad("the range is none, or of more than a million")
	}
	names := make([]string, 0, to-from+1)
	for n := from; n <= to; n++ {
		names = append(names, fmt.Sprintf("%s%0*d%s", before, width, n, after[:colon]))
	}
	return names, checkName(names[0])
}

// checkName refuses names that no mail user has, and characters that would break a line.
func checkName(name string) error {
	if name == "" || strings.ContainsAny(name, "\x00\r\n") {
		return fmt.Errorf("user %q is not a name: it must not be empty or contain a line end", name)
	}
	return nil
}

// ReadPasswords returns the users with their passwords from a file. The file has one line with the password of all
// users, or lines NAME:PASSWORD that name every user. A single line that begins with the name of a user and a colon is
// the second form.
func ReadPasswords(file string, names []string) ([]User, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil || len(text) > maxPasswordFile {
		return nil, fmt.Errorf("password file %s cannot be read, or is longer than %d bytes: %w", file,
			maxPasswordFile, err)
	}
	users, err := givePasswords(text, names)
	if err != nil {
		return nil, fmt.Errorf("password file %s: %w", file, err)
	}
	return users, nil
}

// byteOrderMark begins text files of some editors.
const byteOrderMark = "\ufeff"

func givePasswords(text []byte, names []string) ([]User, error) {
	if bytes.ContainsRune(text, 0) {
		return nil, fmt.Errorf("it holds a NUL")
	}
	var lines []string // by number; empty ones are skipped later
	filled := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), byteOrderMark)) {
		if lines = append(lines, strings.TrimRight(line, "\r\n")); lines[len(lines)-1] != "" {
			filled++
		}
	}
	users := make([]User, len(names))
	if line := strings.Join(lines, ""); filled == 1 && !isForUser(line, names) {
		for i, name := range names {
			users[i] = User{Name: name, Password: Password(line)}
		}
		return users, nil
	}
	passwords, err := readPasswords(lines)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		password, known := passwords[name]
		if !known {
			return nil, fmt.Errorf("no password for %s", name)
		}
		users[i] = User{Name: name, Password: password}
	}
	return users, nil
}

// isForUser reports whether a line is NAME:PASSWORD with one of the names.
func isForUser(line string, names []string) bool {
	name, _, found := strings.Cut(line, ":")
	return found && slices.Contains(names, name)
}

// readPasswords reads lines NAME:PASSWORD. Its errors show no part of a line.
func readPasswords(lines []string) (map[string]Password, error) {
	passwords := make(map[string]Password, len(lines))
	for i, line := range lines {
		if line == "" {
			continue
		}
		name, password, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("line %d has no colon; write one password for all, or lines NAME:PASSWORD", i+1)
		}
		if _, twice := passwords[name]; twice {
			return nil, fmt.Errorf("line %d names a user of an earlier line", i+1)
		}
		passwords[name] = Password(password)
	}
	return passwords, nil
}
