// Package backendtest holds mailbox servers that are not for production: an
// in-memory server with real mail (Memory), a server that answers as fast as a
// server can (Sink), a server that misbehaves by script (Scripted), a listener
// that never answers (Blackhole), a real Dovecot in a temporary folder (Dovecot),
// with throw-away certificates for all of them (CA), and real Cyrus and Courier,
// each in a root of its own (Cyrus, Courier), in plain text. The parts of a site
// can be connected by links that fail (Network).
//
// Tests, the demo and the load tool use it. It knows nothing of the proxy: it is
// the other side of the wire. It does not import package testing either, since
// the demo is part of the shipped program; helpers for tests are in testkit.
package backendtest
