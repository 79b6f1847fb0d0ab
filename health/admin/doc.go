// Package admin is Portico's HTTP side: metrics, liveness, readiness, and a page that names them.
//
// A Server answers on any number of listeners, all with the same pages. What differs is how a request gets in (access.go): the
// Unix socket is guarded by its file mode; TCP on loopback is open to read, for names that are loopback's own; TCP beyond
// loopback takes TLS and a token for everything, and does not open without them.
//
// The package knows nothing of IMAP. What it shows is passed in: a registry of metrics and a list of named checks.
package admin
