package admin

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"portico/backend/backendtest/testkit"
)

// slowAccept is a listener whose Accept returns a connection that had come before Close, after Close.
type slowAccept struct {
	*net.TCPListener
	accepted, returned chan struct{}
}

func (l slowAccept) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err == nil {
		close(l.accepted)
		<-l.returned
	}
	return conn, err
}

// Whoever has connected before the listener is left is answered, and whoever connects afterwards does not come here.
func TestLeave(t *testing.T) {
	testkit.NoLeaks(t)
	server, err := New(Options{Gatherer: prometheus.NewRegistry(), Access: Access{Tokens: allTokens}})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := slowAccept{opened.(*net.TCPListener), make(chan struct{}), make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan error, 1)
	go func() {
		answer, err := client.Get("http://" + opened.Addr().String() + "/metrics")
		if err == nil {
			answer.Body.Close()
		}
		answered <- err
	}()
	<-ln.accepted
	finish := server.Leave(ln)
	if conn, err := net.Dial("tcp", opened.Addr().String()); err == nil {
		conn.Close()
		t.Error("a connection after the listener was left")
	}
	finished := make(chan error, 1)
	go func() { finished <- finish(context.Background()) }()
	close(ln.returned)
	if err := <-answered; err != nil {
		t.Errorf("a request that came before: %v", err)
	}
	if err := <-finished; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
