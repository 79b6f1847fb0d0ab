package admin

import (
	"context"
	"net/http"
	"time"
)

// judgeEach is how often a request that lasts is judged again.
const judgeEach = time.Second

// whileAllowed answers a request that lasts for as long as its sender may send it: meanwhile a token or a certificate
// may expire, and a reload may withdraw it.
func (d *endpoint) whileAllowed(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, end := context.WithCancel(r.Context())
	judged := make(chan struct{})
	go func() {
		defer close(judged)
		tick := time.NewTicker(judgeEach)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if d.callerOf(r, d.server.access.Load()).may < needed(r) {
				end()
				http.NewResponseController(w).SetWriteDeadline(time.Now()) // the client may not read
				return
			}
		}
	}()
	defer func() { end(); <-judged }() // w is not to be used afterwards
	next.ServeHTTP(w, r.WithContext(ctx))
}
