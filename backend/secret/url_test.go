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

func TestWithoutURL(t *testing.T) {
	_, parse := url.Parse("https://ann:ses/ame@host/")
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
