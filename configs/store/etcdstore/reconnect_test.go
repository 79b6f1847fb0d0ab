package etcdstore

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// A member that is away for long is tried as often as at first: a site follows an etcd that is back within seconds.
func TestReconnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last, longest, tried := time.Now(), time.Duration(0), 0
		dial := func(context.Context, string) (net.Conn, error) {
			longest = max(longest, time.Since(last))
			last = time.Now()
			tried++
			return nil, errors.New("refused")
		}
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://192.0.2.1:2379"}, Logger: zap.NewNop(),
			DialOptions: []grpc.DialOption{reconnecting(DefaultTimeout), grpc.WithContextDialer(dial)}})
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			ctx, cancel := context.WithTimeout(t.Context(), DefaultTimeout)
			if _, err := client.Get(ctx, "key"); err == nil {
				t.Error("it answers")
			}
			cancel()
			time.Sleep(DefaultTimeout)
		}
		client.Close()
		synctest.Wait()
		if longest > 2*askTime || tried < 100 {
			t.Errorf("tried %d times, with up to %v in between", tried, longest)
		}
	})
}
