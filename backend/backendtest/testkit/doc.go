// Package testkit helps tests of any package: bounded contexts, leak checks, system
// programs that may be missing, servers that stop with the test, and a client
// that speaks raw IMAP lines. Only test files import it.
package testkit
