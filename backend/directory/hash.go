package directory

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"portico/backend/secret"
)

// What a hash may cost at most: about two seconds of one CPU, or 256 MiB.
const (
	maxBcryptCost   = 14
	maxArgon2Memory = 256 << 10 // KiB
	maxArgon2Time   = 10
	maxArgon2Ways   = 16
	maxCryptRounds  = 1_000_000
)

// hash is what is known of a password.
type hash interface {
	// matches compares in a time that does not depend on how much of the password is right.
	matches(password []byte) bool
}

var (
	bcryptForm      = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./0-9A-Za-z]{53}$`)
	argon2Form      = regexp.MustCompile(`^\$argon2id\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,9})\$([0-9A-Za-z+/]+)\$([0-9A-Za-z+/]+)$`)
	sha512CryptForm = regexp.MustCompile(`^\$6\$(?:rounds=([0-9]{1,9})\$)?([^$:]{1,16})\$([./0-9A-Za-z]{86})$`)
)

// CheckHash judges a password by its hash, in one of the forms that Passwd reads. It returns ErrBadCredential if it is
// not the hash's, also for an empty one; a *RefusedError if the hash locks the user out; and another error, which does
// not show the hash, if it is none. It computes for long.
func CheckHash(text string, password secret.Value) error {
	switch {
	case text == "":
		return errors.New("the hash is empty")
	case text[0] == '!' || text[0] == '*':
		return &RefusedError{Reason: "locked by the password hash"}
	}
	h, err := parseHash(text)
	if err != nil {
		return err
	}
	if given := password.Reveal(); given == "" || len(given) > maxPassword || !h.matches([]byte(given)) {
		return ErrBadCredential
	}
	return nil
}

// dovecotSchemes are the names that Dovecot may put before the hashes there are.
var dovecotSchemes = []string{"BLF-CRYPT", "ARGON2ID", "SHA512-CRYPT", "CRYPT"}

// parseHash reads a hash in the form of crypt(3), perhaps with Dovecot's name of it before. Errors do not show it.
func parseHash(text string) (hash, error) {
	if strings.HasPrefix(text, "{") {
		scheme, rest, _ := strings.Cut(text[1:], "}")
		if !slices.Contains(dovecotSchemes, strings.ToUpper(scheme)) {
			return nil, fmt.Errorf("the scheme must be one of %s", strings.Join(dovecotSchemes, ", "))
		}
		text = rest
	}
	if m := bcryptForm.FindStringSubmatch(text); m != nil {
		return newBcrypt(text, number(m[1]))
	}
	if m := argon2Form.FindStringSubmatch(text); m != nil {
		return newArgon2(m[1:])
	}
	if m := sha512CryptForm.FindStringSubmatch(text); m != nil {
		return newSHA512Crypt(m[1:])
	}
	return nil, errors.New("the hash must be bcrypt ($2y$), argon2id or SHA-512-crypt ($6$)")
}

// number reads digits, of which there are not too many for an int.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

type bcryptHash []byte

func newBcrypt(text string, cost int) (hash, error) {
	if cost < bcrypt.MinCost || cost > maxBcryptCost {
		return nil, fmt.Errorf("bcrypt's cost must be %d to %d, not %d", bcrypt.MinCost, maxBcryptCost, cost)
	}
	return bcryptHash(text), nil
}

func (h bcryptHash) matches(password []byte) bool {
	return bcrypt.CompareHashAndPassword(h, password) == nil
}

type argon2Hash struct {
	memory, time uint32
	ways         uint8
	salt, key    []byte
}

func newArgon2(m []string) (hash, error) {
	memory, time, ways := number(m[0]), number(m[1]), number(m[2])
	salt, badSalt := base64.RawStdEncoding.DecodeString(m[3])
	key, badKey := base64.RawStdEncoding.DecodeString(m[4])
	switch {
	case memory < 8*ways || memory > maxArgon2Memory:
		return nil, fmt.Errorf("argon2id's m must be 8 p to %d, not %d", maxArgon2Memory, memory)
	case time < 1 || time > maxArgon2Time:
		return nil, fmt.Errorf("argon2id's t must be 1 to %d, not %d", maxArgon2Time, time)
	case ways < 1 || ways > maxArgon2Ways:
		return nil, fmt.Errorf("argon2id's p must be 1 to %d, not %d", maxArgon2Ways, ways)
	case badSalt != nil || len(salt) < 8 || badKey != nil || len(key) < 16 || len(key) > 64:
		return nil, errors.New("argon2id's salt or key is cut off")
	}
	return argon2Hash{memory: uint32(memory), time: uint32(time), ways: uint8(ways), salt: salt, key: key}, nil
}

func (h argon2Hash) matches(password []byte) bool {
	key := argon2.IDKey(password, h.salt, h.time, h.memory, h.ways, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

type sha512CryptHash struct {
	rounds    int
	salt, sum []byte
}

func newSHA512Crypt(m []string) (hash, error) {
	h := sha512CryptHash{rounds: 5000, salt: []byte(m[1]), sum: []byte(m[2])}
	if m[0] != "" {
		h.rounds = number(m[0])
	}
	if h.rounds < 1000 || h.rounds > maxCryptRounds {
		return nil, fmt.Errorf("SHA-512-crypt's rounds must be 1000 to %d, not %d", maxCryptRounds, h.rounds)
	}
	return h, nil
}

func (h sha512CryptHash) matches(password []byte) bool {
	return subtle.ConstantTimeCompare(sha512Crypt(password, h.salt, h.rounds), h.sum) == 1
}
