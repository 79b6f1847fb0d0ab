package configs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Token is a line of admin.tokens_file. The file has a hash in place of the token, so whoever reads the file gets in
// nowhere. The hash is SHA-256, as a token is random and too long to be guessed; bcrypt and its like slow down guessing
// of what people choose, and would cost tens of milliseconds for each request.
type Token struct {
	Name    string
	Right   Right
	Hash    [sha256.Size]byte // see HashToken
	Expires time.Time         // zero: never
}

// Bounds of tokens.
const (
	maxTokens   = 1000 // of a file: each request is compared with all
	tokenLength = 32   // of a new token, in random bytes
)

// Parts of a token and of its line.
const (
	tokenPrefix = "portico_" // tools that look for leaked secrets find it
	hashPrefix  = "sha256:"
)

// NewToken returns a random token. It is a secret: never log it.
func NewToken() string {
	random := make([]byte, tokenLength)
	rand.Read(random) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
}

// HashToken returns what a file of tokens has of a token.
func HashToken(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// Line returns the line of a token, without line end.
func (t Token) Line() string {
	line := t.Name + " " + string(t.Right) + " " + hashPrefix + hex.EncodeToString(t.Hash[:])
	if !t.Expires.IsZero() {
		line += " " + t.Expires.UTC().Format(time.RFC3339)
	}
	return line
}

// Check returns an error if a token cannot have that name or right.
func (t Token) Check() error {
	if !itemName.MatchString(t.Name) {
		return errors.New(nameRule)
	}
	if all := t.Right.choices(); !slices.Contains(all, string(t.Right)) {
		return fmt.Errorf("the right must be one of %s", strings.Join(all, ", "))
	}
	return nil
}

// ReadTokens reads a file of tokens. Each line is NAME RIGHT HASH [EXPIRY]; blank lines and comments (#) are ignored.
// The error names each bad line by its number and shows nothing of it, because it may hold a secret in any place.
func ReadTokens(path string) ([]Token, error) {
	tokens, problems := readTokens(path)
	return tokens, errors.Join(problems...)
}

func readTokens(path string) (tokens []Token, problems []error) {
	data, err := readFile(path)
	if err != nil {
		return nil, []error{err}
	}
	if len(data) > MaxFileSize {
		return nil, []error{fmt.Errorf("%s is larger than %d bytes", path, MaxFileSize)}
	}
	for i, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		token, err := parseToken(words)
		if err == nil {
			err = token.twiceIn(tokens)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", path, i+1, err))
			continue
		}
		tokens = append(tokens, token)
	}
	if len(tokens) > maxTokens {
		problems = append(problems, fmt.Errorf("%s holds %d tokens: the maximum is %d", path, len(tokens), maxTokens))
	}
	return tokens, problems
}

// twiceIn returns an error if other tokens have the same name or hash.
func (t Token) twiceIn(others []Token) error {
	for _, other := range others {
		switch {
		case strings.EqualFold(other.Name, t.Name):
			return fmt.Errorf("the name %s is given twice", t.Name)
		case other.Hash == t.Hash:
			return fmt.Errorf("%s has the same token as %s", t.Name, other.Name)
		}
	}
	return nil
}

// parseToken reads the words of a line.
func parseToken(words []string) (t Token, err error) {
	if len(words) != 3 && len(words) != 4 {
		return t, errors.New("a line is NAME RIGHT HASH [EXPIRY]: `portico token new` prints one")
	}
	t.Name, t.Right = words[0], Right(words[1])
	if err := t.Check(); err != nil {
		return t, err
	}
	digits, hasPrefix := strings.CutPrefix(words[2], hashPrefix)
	hash, err := hex.DecodeString(digits)
	if err != nil || !hasPrefix || len(hash) != len(t.Hash) {
		return t, fmt.Errorf("the hash must be %s and %d hexadecimal digits: `portico token new` prints it",
			hashPrefix, 2*len(t.Hash))
	}
	copy(t.Hash[:], hash)
	if len(words) == 4 {
		if t.Expires, err = time.Parse(time.RFC3339, words[3]); err != nil {
			return t, errors.New("the expiry must be a time such as 2027-01-31T00:00:00Z")
		}
	}
	return t, nil
}
