package etcdstore

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Hold keeps an entry that goes away by itself when its writer has been silent, or has not followed etcd, for ttl, at
// least a second; etcd decides by its own clock, so nothing that must be safe may depend on it. The entry must have the
// given revision (0: it must not exist); if it was kept already, it is not any more. Hold keeps it until ctx ends or
// the store closes, and then removes it. lost is closed when that is over.
func (s *Store) Hold(ctx context.Context, key string, revision uint64, value []byte,
	ttl time.Duration) (lost <-chan struct{}, err error) {
	if err := s.usable(); err != nil { // else a lease would be granted that holds nothing
		return nil, err
	}
	client, err := s.etcd()
	if err != nil {
		return nil, err
	}
	asked, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	lease, err := client.Grant(asked, int64(max(ttl, time.Second)/time.Second))
	if err != nil {
		return nil, s.why(ctx, err)
	}
	op := clientv3.OpPut(s.prefix+key, string(value), clientv3.WithLease(lease.ID))
	if _, err := (writer{s, nil}).change(ctx, key, revision, op); err != nil {
		s.revoke(client, lease.ID)
		return nil, err
	}
	renewed, end := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, end)
	renewals, err := client.KeepAlive(renewed, lease.ID)
	if err != nil {
		end()
		s.revoke(client, lease.ID)
		return nil, fmt.Errorf("etcd: %w", err)
	}
	gone := make(chan struct{})
	s.running.Go(func() {
		defer close(gone)
		defer end()
		defer stop()
		look := time.NewTicker(ttl / 4)
		defer look.Stop()
		for open := true; open; { // until ctx ends, or the lease has run out
			select {
			case _, open = <-renewals:
			case <-look.C:
				if is := s.State(); is.Err != nil && time.Since(is.Since) >= ttl {
					end()
				}
			}
		}
		if renewed.Err() != nil {
			s.revoke(client, lease.ID)
		}
	})
	return gone, nil
}

// revoke removes what a lease holds, if etcd is there; else it goes away by itself.
func (s *Store) revoke(client *clientv3.Client, lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	client.Revoke(ctx, lease)
}
