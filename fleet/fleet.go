// Package fleet asks all nodes of a site the same, side by side.
//
// A node is a name and a handler that answers as the node does: this node's own handler, or a proxy that forwards to
// another node. The package bounds what a node may take: the time, the size of its answer, and how many nodes are asked
// at once. It does not know what is asked, how a node is reached, nor what an answer means. health/admin asks with it
// (site.go), and the client that sent the request merges the answers.
package fleet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Node is a node of the site.
type Node struct {
	Name    string
	Handler http.Handler  // must return soon after the end of the request's context
	Timeout time.Duration // of its answer
}

// Question is a request to all nodes.
type Question struct {
	Method string
	URL    *url.URL // path and query
	Header http.Header
	Body   []byte
}

// Answer is what a node has answered. Err says why it has not; the rest is empty then.
type Answer struct {
	Node   string
	Status int
	Body   []byte
	Err    error
}

// Errors of an Answer.
var (
	ErrTimeout   = errors.New("no answer in time")
	ErrTooLarge  = errors.New("the answer is too large")
	ErrTruncated = errors.New("the answer ends in the middle")
)

// maxAtOnce bounds the nodes that are being asked at the same time.
const maxAtOnce = 32

// Ask asks all nodes at once, and returns their answers in the order of the nodes. A node that does not answer delays
// the answers of the others by at most its time. An answer has at most size bytes. A panic of a node's handler is
// Ask's.
func Ask(ctx context.Context, nodes []Node, q Question, size int) []Answer {
	results := make([]chan result, len(nodes))
	turns := make(chan struct{}, maxAtOnce)
	for i, node := range nodes {
		results[i] = make(chan result, 1)
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results[i] <- ask(ctx, node, q, size)
		}()
	}
	answers := make([]Answer, len(nodes))
	for i := range nodes {
		got := <-results[i]
		if got.panicked != nil {
			panic(got.panicked)
		}
		answers[i] = got.Answer
	}
	return answers
}

// result is an answer, or the panic of a handler.
type result struct {
	Answer
	panicked any
}

// ask asks a node. It returns when the time is over, even if the handler does not.
func ask(ctx context.Context, node Node, q Question, size int) result {
	ctx, cancel := context.WithTimeout(ctx, node.Timeout)
	defer cancel()
	done := make(chan result, 1)
	go func() { done <- serve(ctx, node, q, size) }()
	select {
	case got := <-done:
		return got
	case <-ctx.Done():
		return result{Answer: Answer{Node: node.Name, Err: ErrTimeout}}
	}
}

// serve lets a node's handler answer. net/http's convention is that a handler that cannot finish its answer panics
// with http.ErrAbortHandler.
func serve(ctx context.Context, node Node, q Question, size int) (got result) {
	w := &Recorder{Limit: size}
	got.Node = node.Name
	defer func() {
		panicked := recover()
		switch {
		case ctx.Err() != nil:
			got.Err = ErrTimeout
		case w.TooLarge:
			got.Err = ErrTooLarge
		case panicked == http.ErrAbortHandler:
			got.Err = ErrTruncated
		case panicked != nil:
			got.panicked = panicked
		default:
			got.Status, got.Body = w.Status(), w.Body()
		}
	}()
	request := (&http.Request{
		Method: q.Method, URL: new(*q.URL), Host: "localhost", Header: q.Header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(q.Body)), ContentLength: int64(len(q.Body)),
	}).WithContext(ctx)
	node.Handler.ServeHTTP(w, request)
	return got
}
