package directory

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// here waits where it is called.
func here(ctx context.Context, f func(context.Context)) { f(ctx) }

// cached returns a cache over a source, of options in which a test has what it is about.
func cached(t testing.TB, s Source, o CacheOptions) *Cache {
	t.Helper()
	c, err := NewCache(s, testkit.Complete(o, CacheOptions{
		Positive: 5 * time.Minute, Negative: 30 * time.Second, Size: 100_000, Now: time.Now, Wait: here,
	}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// completed fills in what a test has left out.
func completed(o FileOptions) FileOptions {
	return testkit.Complete(o, FileOptions{Now: time.Now, Report: func(error) {}, Wait: here})
}

// A cache and a file take complete options alone, and say what is missing.
func TestIncompleteOptions(t *testing.T) {
	whole := CacheOptions{Positive: time.Minute, Negative: time.Minute, Size: 1, Now: time.Now, Wait: here}
	for field, change := range map[string]func(*CacheOptions){
		"Positive": func(o *CacheOptions) { o.Positive = 0 },
		"Negative": func(o *CacheOptions) { o.Negative = 0 },
		"Size":     func(o *CacheOptions) { o.Size = 0 },
		"Now":      func(o *CacheOptions) { o.Now = nil },
		"Wait":     func(o *CacheOptions) { o.Wait = nil },
	} {
		o := whole
		change(&o)
		if _, err := NewCache(nil, o); err == nil || !strings.Contains(err.Error(), " "+field+" ") {
			t.Errorf("cache without %s: %v", field, err)
		}
	}
	for field, change := range map[string]func(*FileOptions){
		"Now":    func(o *FileOptions) { o.Now = nil },
		"Report": func(o *FileOptions) { o.Report = nil },
		"Wait":   func(o *FileOptions) { o.Wait = nil },
	} {
		o := completed(FileOptions{Path: os.DevNull})
		change(&o)
		if _, err := OpenPasswd(o); err == nil || !strings.Contains(err.Error(), " "+field+" ") {
			t.Errorf("file without %s: %v", field, err)
		}
	}
}
