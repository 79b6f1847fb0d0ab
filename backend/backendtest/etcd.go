package backendtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
)

// StartEtcd starts the members of an etcd, without TLS, and returns when all listen. Each is a Daemon whose folder
// "data" has what it stores. The caller must Close them. The error is a *MissingError if the system has none.
func StartEtcd(ctx context.Context, members int) (all []*Daemon, err error) {
	return startEtcd(ctx, members, func(address string) (string, error) { return address, nil })
}

// StartLinkedEtcd is StartEtcd for members that reach each other by links, one to each member. A member whose link
// fails can still open connections to the others.
func StartLinkedEtcd(ctx context.Context, members int, network *Network) (all []*Daemon, links []*Link, err error) {
	all, err = startEtcd(ctx, members, func(address string) (string, error) {
		link, err := network.Link(address)
		if err != nil {
			return "", err
		}
		links = append(links, link)
		return link.Address, nil
	})
	return all, links, err
}

// startEtcd starts members that reach each other where advertise says for the addresses where they listen.
func startEtcd(ctx context.Context, members int, advertise func(address string) (string, error)) (all []*Daemon,
	err error) {
	ports, err := FreePorts(members)
	if err != nil {
		return nil, err
	}
	var peers, cluster []string
	for i := range members {
		d, _, err := newDaemon("etcd", "etcd")
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		d.fast = true
		all = append(all, d)
		peer, err := advertise("127.0.0.1:" + ports[i])
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		peers = append(peers, "http://"+peer)
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	started := make([]error, members)
	var work sync.WaitGroup
	for i, d := range all {
		d.args = []string{"--name", fmt.Sprintf("m%d", i), "--data-dir", filepath.Join(d.Dir, "data"),
			"--listen-client-urls", "http://" + d.Address, "--advertise-client-urls", "http://" + d.Address,
			"--listen-peer-urls", "http://127.0.0.1:" + ports[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-token", filepath.Base(all[0].Dir),
			"--auto-compaction-retention", "1h", "--log-level", "error", "--logger", "zap"}
		work.Go(func() { started[i] = d.Start(ctx) })
	}
	work.Wait()
	if err := errors.Join(started...); err != nil {
		return nil, errors.Join(err, closeAll(all))
	}
	return all, nil
}

func closeAll(daemons []*Daemon) (err error) {
	for _, d := range daemons {
		err = errors.Join(err, d.Close())
	}
	return err
}
