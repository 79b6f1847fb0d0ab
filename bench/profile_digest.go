package bench

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// Digest distinguishes profiles of the same name by what their sessions do.
func (p *Profile) Digest() string {
	sum := sha256.Sum256(p.content())
	return fmt.Sprintf("%x", sum[:6])
}

// content returns the profile without its names, including the profiles of its parts.
func (p *Profile) content() []byte {
	alike := *p
	alike.Name, alike.Description, alike.Mailbox, alike.PerSession = "", "", "", 0
	text, err := json.Marshal(alike)
	if err != nil {
		panic(err) // numbers and strings can be written
	}
	if p.recording != nil {
		text = append(text, p.recording.Digest...)
	}
	for _, part := range p.Mixed {
		text = append(text, part.profile.content()...)
	}
	return text
}
