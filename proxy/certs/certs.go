// Package certs has the certificates that clients are shown: it reads them from files, again when those change, and chooses by the name
// a client asks for; and the keys of session tickets, which outlive a reload.
//
// It stands beneath package proxy, which is given a tls.Config that chooses here. It knows nothing of IMAP and of the configuration file.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Source is where certificates are: a PEM file of a chain and one of its key, or a folder.
type Source struct {
	Cert, Key string
	// Dir holds pairs NAME.crt and NAME.key, or folders with fullchain.pem and privkey.pem, as certbot lays them out. What is neither is
	// passed over.
	Dir string
}

// Certificates are those that clients may be shown. Choose may be called by any number of handshakes at once, whatever Refresh does,
// and the other methods by one goroutine.
type Certificates struct {
	sources []Source
	shown   atomic.Pointer[set]
	read    map[pair]file
	failing map[pair]int // how often in a row a pair could not be taken
}

// pair names the files of one certificate.
type pair struct{ cert, key string }

// file is a pair that was read, and as what.
type file struct {
	cert   *tls.Certificate
	stamps [2]stamp
}

// stamp tells a file from what it was.
type stamp struct {
	size     int64
	modified time.Time
}

// set is what is shown.
type set struct {
	byName   map[string][]*tls.Certificate
	fallback []*tls.Certificate // the first of each kind of key
	expires  time.Time          // the first that does
}

// Open reads all certificates. The first that can not be taken is the error.
func Open(sources []Source) (*Certificates, error) {
	c := &Certificates{sources: sources, read: make(map[pair]file), failing: make(map[pair]int)}
	pairs, err := c.pairs()
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if c.read[p], err = load(p); err != nil {
			return nil, err
		}
	}
	if len(pairs) == 0 {
		return nil, errors.New("there is no certificate")
	}
	c.show(pairs)
	return c, nil
}

// Refresh looks whether files have changed, and takes those that have. A pair that can not be taken stays as it was; it is an error when
// that happens a second time, since the first may be the middle of a change, and not again until it has been taken.
func (c *Certificates) Refresh() error {
	pairs, err := c.pairs()
	if err != nil {
		return err
	}
	var failures []error
	changed := len(pairs) != len(c.read)
	known := make(map[pair]file, len(pairs))
	var kept []pair
	for _, p := range pairs {
		before, there := c.read[p]
		now, err := stamps(p)
		if err == nil && there && now == before.stamps {
			delete(c.failing, p)
			known[p], kept = before, append(kept, p)
			continue
		}
		taken, err := load(p)
		if err == nil {
			delete(c.failing, p)
			changed = true
			known[p], kept = taken, append(kept, p)
			continue
		}
		if c.failing[p]++; c.failing[p] == 2 {
			failures = append(failures, err)
		}
		if there {
			known[p], kept = before, append(kept, p)
		}
	}
	for p := range c.failing {
		if _, there := known[p]; !there && !exists(p) {
			delete(c.failing, p)
		}
	}
	if changed && len(kept) > 0 {
		c.read = known
		c.show(kept)
	}
	return errors.Join(failures...)
}

// Failing returns how many pairs can not be taken as they are.
func (c *Certificates) Failing() int { return len(c.failing) }

// Expires returns when the first of the certificates shown ends. It may be called by any goroutine.
func (c *Certificates) Expires() time.Time { return c.shown.Load().expires }

// pairs lists the files, in the order of the sources.
func (c *Certificates) pairs() ([]pair, error) {
	var all []pair
	for _, s := range c.sources {
		if s.Dir == "" {
			all = append(all, pair{s.Cert, s.Key})
			continue
		}
		entries, err := os.ReadDir(s.Dir) // sorted
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(s.Dir, e.Name())
			if name, ok := strings.CutSuffix(path, ".crt"); ok {
				all = append(all, pair{path, name + ".key"})
			} else if p := (pair{filepath.Join(path, "fullchain.pem"), filepath.Join(path, "privkey.pem")}); exists(p) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

func exists(p pair) bool {
	_, err := os.Stat(p.cert)
	return err == nil
}

func stamps(p pair) (s [2]stamp, err error) {
	for i, path := range []string{p.cert, p.key} {
		info, err := os.Stat(path)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.Size(), info.ModTime()}
	}
	return s, nil
}

// load reads a pair. What it is known by is looked at before, so that a change in between is seen next time.
func load(p pair) (file, error) {
	s, err := stamps(p)
	if err != nil {
		return file{}, err
	}
	cert, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return file{}, fmt.Errorf("%s: %w", p.cert, err)
	}
	return file{cert: &cert, stamps: s}, nil
}

// show puts what was read of the pairs in force.
func (c *Certificates) show(pairs []pair) {
	s := &set{byName: make(map[string][]*tls.Certificate)}
	kinds := make(map[x509.PublicKeyAlgorithm]bool)
	for _, p := range pairs {
		cert := c.read[p].cert
		for _, name := range cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			s.byName[name] = append(s.byName[name], cert)
		}
		if kind := cert.Leaf.PublicKeyAlgorithm; !kinds[kind] {
			kinds[kind] = true
			s.fallback = append(s.fallback, cert)
		}
		if ends := cert.Leaf.NotAfter; s.expires.IsZero() || ends.Before(s.expires) {
			s.expires = ends
		}
	}
	c.shown.Store(s)
}

// Choose picks a certificate for the name the client asks for (SNI): one with that very name, else with a wildcard for it, else the first of all.
// Where several fit, the first wins whose kind of key the client can use. It is a tls.Config's GetCertificate.
func (c *Certificates) Choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := c.shown.Load()
	anyName := *hello
	anyName.ServerName = ""
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, parent, _ := strings.Cut(name, ".")
	for _, candidates := range [...][]*tls.Certificate{s.byName[name], s.byName["*."+parent], s.fallback} {
		for _, cert := range candidates {
			if anyName.SupportsCertificate(cert) == nil {
				return cert, nil
			}
		}
	}
	return s.fallback[0], nil // the handshake fails, and says why
}
