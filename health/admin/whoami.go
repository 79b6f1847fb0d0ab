package admin

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"
)

// PathCaller is that of who asks.
const PathCaller = prefix + "caller"

// Caller says who sends a request, and what that may do.
type Caller struct {
	Who   string `json:"who"`   // as the log names it
	Known bool   `json:"known"` // that is proven, by a token, a certificate or the kernel
	// MayChange says that requests that change something are allowed, and not only those that read.
	MayChange bool `json:"may_change"`
}

// callerRoutes adds who asks to the API.
func callerRoutes(api huma.API) {
	get(api, "show-caller", PathCaller, "Say who sends this request, and whether it may change something",
		func(ctx context.Context, _ *None) (Caller, error) {
			by, ok := ctx.Value(callerKey{}).(*caller)
			if !ok {
				return Caller{}, Of(KindFailed, errors.New("nobody knows who asks"))
			}
			return Caller{by.who, by.known, by.may >= MayChange}, nil
		})
}
