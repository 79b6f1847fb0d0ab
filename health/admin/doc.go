// Package admin is Portico's HTTP side: metrics, liveness, readiness, a page that names them, and the API behind the
// command line (api.go).
//
// A Server answers on any number of listeners, all with the same pages. What differs is how a request gets in
// (access.go, caller.go): the Unix socket is guarded by its file mode, and by who the kernel says is calling; TCP on
// loopback is open to read, unless a read token is set, for names that are loopback's own, and wants a token for a
// change; TCP beyond loopback takes TLS and a token for everything, and does not open without them. Every change is
// logged (audit.go).
//
// The package knows nothing of IMAP. What it shows and does is passed in: a registry of metrics, a list of named
// checks, an API.
package admin
