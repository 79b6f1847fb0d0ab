// Package browser opens web pages in Chromium, for tests.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"portico/backend/backendtest/testkit"
)

// Tab is a page of a browser that runs until the test ends.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	warnings []string
}

// Open starts a browser.
func Open(t testing.TB) *Tab {
	t.Helper()
	testkit.Need(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.ExecPath("chromium"), chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(ctx)
	tab := &Tab{t: t, ctx: ctx}
	var reads sync.WaitGroup
	t.Cleanup(func() {
		end()
		stop()
		reads.Wait()
	})
	tab.do(chromedp.Navigate("about:blank")) // starts it
	messages := chromedp.Console(ctx)
	reads.Go(func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			if message.Type == "error" || message.Type == "warning" || message.IsException() {
				tab.mu.Lock()
				tab.warnings = append(tab.warnings, message.Text+" "+message.URL)
				tab.mu.Unlock()
			}
		}
	})
	return tab
}

// patience is how long the browser may take for one thing.
const patience = 20 * time.Second

func (b *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// Visit opens an address.
func (b *Tab) Visit(url string) { b.t.Helper(); b.do(chromedp.Navigate(url)) }

// Type sends keys to what has the focus.
func (b *Tab) Type(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

// Look makes the page as wide and high as that, light or dark.
func (b *Tab) Look(width, height int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		b.t.Fatal(err)
	}
}

// Run runs a script in the page, awaits what it returns, and decodes that into result unless it is nil.
func (b *Tab) Run(script string, result any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		"(async () => JSON.stringify(await ("+script+") ?? null))()", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v in %s", err, script)
	}
	if result != nil {
		if err := json.Unmarshal([]byte(text), result); err != nil {
			b.t.Fatalf("%v: %s", err, text)
		}
	}
}

// Until waits until an expression is true.
func (b *Tab) Until(what, expression string) {
	b.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		if b.Run("Boolean("+expression+")", &is); is {
			return
		}
		if time.Since(began) > patience {
			b.t.Fatalf("no %s on the page:\n%s", what, b.Text())
		}
	}
}

// Text is what the page shows.
func (b *Tab) Text() (text string) {
	b.t.Helper()
	b.Run("document.body.innerText", &text)
	return text
}

// Picture returns the page as PNG.
func (b *Tab) Picture() []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

// Warnings lists the errors and warnings in the page's console since the last call.
func (b *Tab) Warnings() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	warnings := b.warnings
	b.warnings = nil
	return warnings
}

// Faults lists what axe-core finds to be a serious or critical fault for people who use the page by keyboard or with a
// screen reader.
func (b *Tab) Faults() (faults []string) {
	b.t.Helper()
	var loaded bool
	if b.Run("Boolean(window.axe)", &loaded); !loaded {
		b.Run("(() => {"+axe(b.t)+"})()", nil)
	}
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	b.Run("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)", &found)
	for _, f := range found {
		if slices.Contains([]string{"serious", "critical"}, f.Impact) {
			text := fmt.Sprintf("%s: %s", f.ID, f.Help)
			for _, n := range f.Nodes[:min(len(f.Nodes), 3)] {
				text += "\n  " + n.HTML + "\n  " + strings.ReplaceAll(n.FailureSummary, "\n", " ")
			}
			faults = append(faults, text)
		}
	}
	return faults
}

// axe is the text of axe-core.
func axe(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(cache, "portico", "npm", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		testkit.Lack(t, fmt.Errorf("axe-core is missing, scripts/test-deps installs it: %w", err))
	}
	return string(text)
}
