package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
)

// etagOf returns the entity tag of a value, RFC 9110 section 8.8.3: equal values have equal tags.
func etagOf(value any) string {
	text, _ := json.Marshal(value) // of a type of the API, which can always be written
	hash := sha256.Sum256(text)
	return `"` + hex.EncodeToString(hash[:8]) + `"`
}

// ifMatch returns an error unless the header If-Match of a request fits what there is: it is missing, "*", or has the
// entity tag among others.
func ifMatch(header, etag string) error {
	if header = strings.TrimSpace(header); header == "" || header == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == etag {
			return nil
		}
	}
	return Of(KindStale, errors.New("nothing has changed, because what If-Match names has changed since it was read"))
}
