package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pipes is a listener whose connections are in memory, so that time can be a test's own. Its address is on loopback.
type pipes struct {
	conns chan net.Conn
	done  context.Context
	close context.CancelFunc
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done.Done():
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { p.close(); return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

// Whoever watches the rows of another node does so until it is interrupted, however long that is.
func TestWatchingAnotherNodeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minutes = 120
		other := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != PathLogStream {
				t.Errorf("asked for %s", r.URL.Path)
			}
			for n := range minutes {
				select {
				case <-time.After(time.Minute):
				case <-r.Context().Done():
					return
				}
				fmt.Fprintf(w, "row %d\n", n)
				http.NewResponseController(w).Flush()
			}
		})
		server, err := New(Options{
			Gatherer: prometheus.NewRegistry(), Node: func(string) (http.Handler, error) { return other, nil },
			Access: Access{Tokens: allTokens},
		})
		if err != nil {
			t.Fatal(err)
		}
		done, cancel := context.WithCancel(t.Context())
		ln := pipes{make(chan net.Conn), done, cancel}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln) }()
		client := &http.Client{Transport: &http.Transport{DialContext: ln.dial, DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"http://localhost/nodes/mx2"+PathLogStream, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			rows++
		}
		if rows != minutes || lines.Err() != nil {
			t.Errorf("after %d of %d rows: %v", rows, minutes, lines.Err())
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
