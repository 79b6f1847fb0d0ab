package etcdstore

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// reconnecting says when a member that was away is tried again. By itself gRPC waits longer each time, up to two
// minutes and more, in which a site goes on without an etcd that is back.
func reconnecting(timeout time.Duration) grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: timeout,
		Backoff: backoff.Config{BaseDelay: retryTime, Multiplier: 2, Jitter: 0.2, MaxDelay: askTime}})
}
