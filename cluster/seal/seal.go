// Package seal encrypts what the nodes of a site must share and its etcd must not know, and lets nodes recognize each
// other. Both are derived from the secret that all nodes have in a file.
//
// It knows no key of the store but its own, and nothing of what it seals.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"portico/configs/store"
)

// What keys are derived for. A key never serves two purposes.
const (
	forValues = "portico: values of the store, 1"
	forTokens = "portico: tokens of nodes, 1"
	forDigest = "portico: digests of what nodes need the same, 1"
)

// format is the first byte of a sealed value. A nonce, and the value as AES-256-GCM seals it, follow.
const format = 1

// ErrSecret means that a value was sealed with another secret, was moved from another key, or is damaged.
var ErrSecret = errors.New("not sealed with this secret, or changed since")

// sealer seals and opens values.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret string) sealer {
	block, err := aes.NewCipher(derive(secret, forValues))
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size that this takes
	}
	return sealer{aead}
}

// derive returns a key of 32 bytes.
func derive(secret, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
	if err != nil {
		panic(err) // the length is right
	}
	return key
}

// seal seals a value for a key: under another, it does not open.
func (s sealer) seal(key string, value []byte) []byte {
	return s.aead.Seal([]byte{format}, nil, value, []byte(key))
}

func (s sealer) open(key string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != format {
		return nil, fmt.Errorf("%q: %w", key, ErrSecret)
	}
	value, err := s.aead.Open([]byte{}, nil, sealed[1:], []byte(key))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, ErrSecret)
	}
	return value, nil
}

// CheckKey is the key of the entry by which a node finds out whether it has the site's secret.
const CheckKey = "secret_check"

// proof is what the entry says.
const proof = "portico"

// Proof returns the value of CheckKey.
func Proof(secret string) []byte { return newSealer(secret).seal(CheckKey, []byte(proof)) }

// Check returns ErrSecret if a site has another secret, and store.ErrNotFound if it has none. The store must be the
// site's as it is, not one that opens what is sealed.
func Check(ctx context.Context, site store.Store, secret string) error {
	entry, err := site.Get(ctx, CheckKey)
	if err != nil {
		return err
	}
	_, err = newSealer(secret).open(CheckKey, entry.Value)
	return err
}

// Token returns what a node shows to another to be recognized. It is a secret: never log it. A token is for one purpose
// and for one node, which is the one that shows it or the one that it is shown to, as the purpose has it.
// Compare hashes of tokens, so that the time does not tell how much of one is right.
func Token(secret, purpose, node string) string {
	mac := hmac.New(sha256.New, derive(secret, forTokens))
	fmt.Fprintf(mac, "%d %s %s", len(purpose), purpose, node)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Digest returns a short digest of a text, by which nodes find out whether they have the same. Without the secret, it
// says nothing of the text.
func Digest(secret, text string) string {
	mac := hmac.New(sha256.New, derive(secret, forDigest))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:9])
}
