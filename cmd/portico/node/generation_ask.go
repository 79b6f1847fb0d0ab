package node

import (
	"context"
	"encoding/json"
	"errors"
)

// question is one that is not answered yet. It is asked again on another connection.
type question struct {
	askMessage
	answer chan json.RawMessage // has room for one
}

// errSilent is why a question has no answer.
var errSilent = errors.New("does not answer")

// ask asks the process. It returns nothing if that has ended. If ctx ends first, the error is errSilent.
func (of *generation) ask(ctx context.Context, what string, names ...string) (json.RawMessage, error) {
	q := question{answer: make(chan json.RawMessage, 1)}
	of.mu.Lock()
	of.last++
	q.askMessage = askMessage{of.last, what, names}
	of.asked[of.last] = q
	of.mu.Unlock()
	of.send(sayAsk, q.askMessage)
	select {
	case data := <-q.answer:
		return data, nil
	case <-of.gone:
		return nil, nil
	case <-ctx.Done():
		of.mu.Lock()
		delete(of.asked, q.Number)
		of.mu.Unlock()
		return nil, errSilent
	}
}
