package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestTokenIsNotPrinted(t *testing.T) {
	const word = "open-sesame"
	access := Access{Token: word}
	var log strings.Builder
	logger := zerolog.New(&log)
	logger.Info().Stringer("a", access.Token).Interface("b", access.Token).Any("c", access).Msg("")
	encoded, err := json.Marshal([]any{access, access.Token})
	if err != nil {
		t.Fatal(err)
	}
	said := []string{log.String(), string(encoded), fmt.Sprint(access, &access, access.Token), fmt.Errorf("no: %v", access.Token).Error()}
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d"} {
		said = append(said, fmt.Sprintf("%"+verb, access), fmt.Sprintf("%"+verb, access.Token))
	}
	hidden := []string{word, fmt.Sprintf("%x", word), fmt.Sprintf("%X", word)}
	for _, text := range said {
		if !strings.Contains(text, mask) {
			t.Errorf("no mask in %q", text)
		}
		for _, secret := range hidden {
			if strings.Contains(text, secret) {
				t.Errorf("token in %q", text)
			}
		}
	}
}
