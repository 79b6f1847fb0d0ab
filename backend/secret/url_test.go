package secret

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://host:8080/path/to":             "https://host:8080/path/to",
		"https://ann:sesame@host/path?q=1#here": "https://host/path",
		"https://ann:ses@me/x y@host/path":      "https://host/path",
		"https://sesame@host":                   "https://host",
		"https://ann:sesame@[::1]:80/?t=sesame": "https://[::1]:80/",
		"ann:sesame@host":                       "the URL",
	} {
		if got := URL(text); got != want {
			t.Errorf("%s shows as %s, want %s", text, got, want)
		}
	}
}

func TestCheckHostPort(t *testing.T) {
	for _, address := range []string{"", "host", "host:993", "[::1]:993", "mail.example.org"} {
		if err := CheckHostPort(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, want := range map[string]string{
		"ann:sesame@host:993": "user part", "imaps://ann:ses@me@host/x": "user part", "ann:sesame@": "user part",
		"imaps://host:993/?t=sesame": "imaps://host:993/ is a URL: write HOST:PORT",
	} {
		if err := CheckHostPort(address); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "ses") || strings.Contains(err.Error(), "ann") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWithoutURL(t *testing.T) {
	_, parse := url.Parse(strings.Join([]string{"https://ann:ses", "ame@host/"}, "/"))
	_, get := http.Get("http://ann:sesame@127.0.0.1:1/")
	plain := errors.New("plain")
	for _, err := range []error{parse, get} {
		if text := WithoutURL(err).Error(); strings.Contains(text, "ann") || strings.Contains(text, "ses") {
			t.Errorf("%s shows the user part", text)
		}
	}
	if WithoutURL(plain) != plain {
		t.Error("another error has changed")
	}
}
