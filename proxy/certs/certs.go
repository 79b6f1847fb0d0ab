// Package certs has the certificates that clients are shown: it reads them from files, again when those change, and
// chooses by the name a client asks for; and the keys of session tickets, which outlive a reload.
//
// It stands beneath package proxy, which is given a tls.Config that chooses here. It knows nothing of IMAP and of the
// configuration file.
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
	// Dir holds pairs NAME.crt and NAME.key, or folders with fullchain.pem and privkey.pem, as certbot lays them out.
	// What is neither is passed over.
	Dir string
}

// Certificates are those that clients may be shown. Choose may be called by any number of handshakes at once, whatever
// Refresh does, and the other methods by one goroutine.
type Certificates struct {
	sources []Source
	shown   atomic.Pointer[set]
	read    map[pair]file
	changed map[pair][2]stamp // what has changed since it was read, as it was at the last look
	failing map[pair]int      // how often in a row a pair, or a folder, could not be taken
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

// Open reads all certificates. The first that is named and cannot be taken is the error; in a folder such a pair is
// left out, and Refresh tells.
func Open(sources []Source) (*Certificates, error) {
	c := &Certificates{
		sources: sources, read: make(map[pair]file), changed: make(map[pair][2]stamp), failing: make(map[pair]int),
	}
	for _, s := range sources {
		if s.Dir == "" {
			continue
		}
		if _, err := os.ReadDir(s.Dir); err != nil {
			return nil, err
		}
	}
	named := make(map[pair]bool)
	for _, s := range sources {
		named[pair{s.Cert, s.Key}] = s.Dir == ""
	}
	var taken []pair
	for _, p := range c.pairs(func(error) {}) {
		loaded, err := load(p)
		switch {
		case err == nil:
			c.read[p] = loaded
			taken = append(taken, p)
		case named[p]:
			return nil, err
		default:
			c.failing[p] = 1
		}
	}
	if len(taken) == 0 {
		return nil, errors.New("no certificate found")
	}
	c.show(taken)
	return c, nil
}

// Refresh looks whether files have changed, and takes those that have and were the same at the look before, so that
// nothing half written is taken. A pair that cannot be taken stays as it was, and so does one of a folder that has
// gone for one look. What fails at two looks in a row is an error, once.
func (c *Certificates) Refresh() error {
	var failures []error
	fail := func(p pair, err error) {
		if c.failing[p]++; c.failing[p] == 2 {
			failures = append(failures, err)
		}
	}
	known := make(map[pair]file, len(c.read))
	var kept []pair
	for _, p := range c.pairs(func(err error) { failures = append(failures, err) }) {
		now, ok := c.look(p, fail)
		if ok {
			known[p], kept = now, append(kept, p)
		}
	}
	for p := range c.read {
		if _, there := known[p]; there {
			continue
		}
		if c.failing[p]++; c.failing[p] > 1 { // gone for good
			delete(c.failing, p)
			continue
		}
		known[p], kept = c.read[p], append(kept, p)
	}
	for p := range c.failing {
		if _, there := known[p]; !there && p.key != "" && !exists(p.cert) {
			delete(c.failing, p)
		}
	}
	if len(kept) > 0 {
		c.read = known
		c.show(kept)
	}
	return errors.Join(failures...)
}

// look returns what is to be shown of a pair; ok is false if there is nothing.
func (c *Certificates) look(p pair, fail func(pair, error)) (f file, ok bool) {
	before, there := c.read[p]
	now, err := stamps(p)
	switch {
	case err != nil:
	case there && now == before.stamps:
		delete(c.failing, p)
		delete(c.changed, p)
		return before, true
	case now != c.changed[p]: // it may still be being written
		c.changed[p] = now
		return before, there
	default:
		var taken file
		if taken, err = load(p); err == nil {
			delete(c.failing, p)
			delete(c.changed, p)
			return taken, true
		}
	}
	fail(p, err)
	return before, there
}

// Failing returns how many pairs cannot be taken as they are.
func (c *Certificates) Failing() int { return len(c.failing) }

// Expires returns when the first of the certificates shown ends. It may be called by any goroutine.
func (c *Certificates) Expires() time.Time { return c.shown.Load().expires }

// pairs lists the files, in the order of the sources. A folder that cannot be read is told once, and what is known of
// it stays.
func (c *Certificates) pairs(tell func(error)) []pair {
	var all []pair
	for _, s := range c.sources {
		if s.Dir == "" {
			all = append(all, pair{s.Cert, s.Key})
			continue
		}
		folder := pair{cert: s.Dir}
		entries, err := os.ReadDir(s.Dir) // sorted
		if err != nil {
			if c.failing[folder]++; c.failing[folder] == 2 {
				tell(err)
			}
			for p := range c.read {
				if strings.HasPrefix(p.cert, s.Dir+string(filepath.Separator)) {
					all = append(all, p)
				}
			}
			continue
		}
		delete(c.failing, folder)
		for _, e := range entries {
			path := filepath.Join(s.Dir, e.Name())
			p := pair{filepath.Join(path, "fullchain.pem"), filepath.Join(path, "privkey.pem")}
			if name, ok := strings.CutSuffix(path, ".crt"); ok {
				p = pair{path, name + ".key"}
			}
			if _, known := c.read[p]; known || exists(p.cert) && exists(p.key) { // an issuer's certificate has no key
				all = append(all, p)
			}
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
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

// Choose picks a certificate for the name the client asks for (SNI): one with that very name, else with a wildcard for
// it, else the first of all. Where several fit, the first wins whose kind of key the client can use. It is a
// tls.Config's GetCertificate.
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
