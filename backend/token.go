package backend

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"portico/backend/directory"
	"portico/backend/secret"
)

// TokenClaim returns a claim of a token that is a JWT (RFC 7519), if that is a text; else "". Nothing is verified: the
// mailbox server judges the token, so what is returned may only decide where it is asked, and what is counted.
func TokenClaim(token secret.Value, claim string) string {
	parts := strings.Split(token.Reveal(), ".")
	if claim == "" || len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return ""
	}
	defer clear(payload)
	var claims map[string]json.RawMessage
	var text string
	if json.Unmarshal(payload, &claims) != nil || json.Unmarshal(claims[claim], &text) != nil {
		return ""
	}
	return text
}

// MayBeNameless says whether a mechanism may leave it to its token whose it is.
func MayBeNameless(mechanism string) bool {
	return mechanism == mechanismOAuthBearer || mechanism == mechanismXOAUTH2
}

// RoutesNameless says whether sign-ins go to the same database, with what the client gave, whoever signs in.
func (t *Tier) RoutesNameless() bool {
	return t.locator.directory == nil && t.authentication.mode != directory.ModeMaster && len(t.topology.databases) == 1
}
