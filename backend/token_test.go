package backend

import (
	"encoding/base64"
	"testing"

	"portico/backend/secret"
)

func TestTokenClaim(t *testing.T) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for token, want := range map[string]string{
		jwt(`{"email":"ann@example.org","sub":"1"}`): "ann@example.org",
		jwt(`{"sub":"1"}`):                           "",
		jwt(`{"email":7}`):                           "",
		jwt(`{"email":null}`):                        "",
		jwt(`["email"]`):                             "",
		jwt(`{"email":`):                             "",
		"e30.!!!.c2ln":                               "",
		"e30.eyJlbWFpbCI6ImFubiJ9!.c2ln":             "", // {"email":"ann"} and a character that is none
		"opaque":                                     "",
		"":                                           "",
	} {
		if got := TokenClaim(secret.Value(token), "email"); got != want {
			t.Errorf("%q: %q, want %q", token, got, want)
		}
	}
	if got := TokenClaim(secret.Value(jwt(`{"":"ann"}`)), ""); got != "" {
		t.Errorf("without a claim's name: %q", got)
	}
}
