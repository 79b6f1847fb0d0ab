// Package admin is Portico's HTTP side: metrics, liveness, readiness, a page that names them, and the API behind the command line
// (api.go).
//
// A Server answers on any number of listeners, all with the same pages. What differs is how a request gets in (access.go): the
// Unix socket is guarded by its file mode; TCP on loopback is open to read, for names that are loopback's own, and wants a token for a change; TCP beyond
// loopback takes TLS and a token for everything, and does not open without them.
//
// The package knows nothing of IMAP. What it shows and does is passed in: a registry of metrics, a list of named checks, a
// Control.
package admin
