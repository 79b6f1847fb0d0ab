// Package bench is the load tool as a library. It signs in many IMAP sessions, runs a profile in each, measures every
// command, checks every answer, and reports.
// The package is a client like a mail program: it talks to any IMAP server and knows nothing about what is behind the
// address. Of this repository it imports package backendtest only. It has its own IMAP client, which has to use little
// CPU and to tell a wrong answer from a failed one. That client keeps no message in memory.
// Run does one run and returns its Report. Compare runs the same work against several targets in turn. Both have
// limits of time and sessions. Addresses beyond loopback are refused unless the caller allows them (Resolve).
package bench
