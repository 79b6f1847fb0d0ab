package site

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/configs"
	"portico/configs/store/etcdstore"
)

// An etcd that demands a client certificate and a password is reached by the keys of the configuration, and by no less.
func TestAccess(t *testing.T) {
	address := testkit.Etcd(t, 1)[0].Address
	ca := must(backendtest.NewCA("site"))(t)
	server := must(ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}}))(t)
	own := must(ca.Issue(backendtest.CertOptions{Hosts: []string{"mx1"}, Client: true}))(t)
	demandCertificate := server.ServerConfig()
	demandCertificate.ClientAuth, demandCertificate.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	demandCertificate.NextProtos = []string{"h2"}
	demandPassword(t, address)

	dir := t.TempDir()
	config := configs.Default().Cluster
	config.SecretFile = filepath.Join(dir, "secret")
	config.Etcd.Endpoints = []string{"https://" + tlsFront(t, demandCertificate, address)}
	config.Etcd.CA = must(ca.WriteFile(dir))(t)
	var err error
	if config.Etcd.Cert, config.Etcd.Key, err = own.WriteFiles(dir, "mx1"); err != nil {
		t.Fatal(err)
	}
	config.Etcd.User, config.Etcd.PasswordFile = "portico", filepath.Join(dir, "password")
	for path, text := range map[string]string{config.SecretFile: strings.Repeat("s", 32),
		config.Etcd.PasswordFile: "open sesame\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := func(config configs.Cluster) error {
		o, err := NewOptions(&configs.Config{Cluster: config})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s, err := etcdstore.Open(ctx, o.Etcd)
		if err == nil {
			_, err = s.CompareAndSet(ctx, "key", 0, nil)
			s.Close()
		}
		return err
	}
	if err := open(config); err != nil {
		t.Errorf("with all: %v", err)
	}
	without := config
	without.Etcd.User, without.Etcd.PasswordFile = "", ""
	if err := open(without); err == nil {
		t.Error("opened without a password")
	}
}

func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// demandPassword makes the etcd at an address ask for user portico's password.
func demandPassword(t *testing.T, address string) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	steps := []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "portico", "open sesame"); return err },
		func() error { _, err := c.RoleAdd(ctx, "portico"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "portico", "portico"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "portico", "/portico/", clientv3.GetPrefixRangeEnd("/portico/"),
				clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := c.AuthEnable(ctx); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// tlsFront accepts TLS for what speaks without it at an address.
func tlsFront(t *testing.T, config *tls.Config, address string) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				client.Close()
				continue
			}
			go func() { io.Copy(server, client); server.Close() }()
			go func() { io.Copy(client, server); client.Close() }()
		}
	}()
	return l.Addr().String()
}
