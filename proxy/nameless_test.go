package proxy

import (
	"encoding/base64"
	"testing"
)

// OAUTHBEARER may leave it to the token who signs in: a claim tells, or nobody has to know.
func TestOAuthBearerWithoutName(t *testing.T) {
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"email":"Ann@example.org"}`)) + ".c2ln"
	for name, c := range map[string]struct {
		claim, token, user string
		nameless, refused  bool
	}{
		"claim":             {claim: "email", token: token, user: "ann@example.org"},
		"claim not needed":  {claim: "email", token: token, user: "ann@example.org", nameless: true},
		"no claim":          {claim: "upn", token: token, refused: true},
		"opaque":            {claim: "email", token: "opaque", refused: true},
		"opaque, no name":   {claim: "email", token: "opaque", nameless: true},
		"no name is needed": {token: token, nameless: true},
		"no claim is named": {token: token, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, TLSNone, func(o *Options) {
				o.Settings.OAuthUserClaim = c.claim
				tier := o.Settings.Tier.(*fakeTier)
				tier.mechanisms, tier.nameless = []string{"PLAIN", "OAUTHBEARER"}, c.nameless
			})
			asked := h.asks()
			p := h.client()
			message := "n,,\x01auth=Bearer " + c.token + "\x01\x01"
			p.send("a AUTHENTICATE OAUTHBEARER " + base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
			if c.refused {
				p.expect("a NO [AUTHENTICATIONFAILED] ")
				return
			}
			p.expect("* OK ")
			p.expect("a OK ")
			if q := <-asked; q.User != c.user || q.Credential.First.Reveal() != message {
				t.Errorf("user %q, message %q", q.User, q.Credential.First.Reveal())
			}
		})
	}
}
