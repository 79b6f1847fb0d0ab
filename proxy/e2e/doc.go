// Package e2e holds only tests: of a whole front end, listeners, sign-in, relay and mailbox tier together, as clients
// and mailbox servers see it from outside. It uses what the packages beneath export and nothing else.
//
// The mailbox server is a real Dovecot wherever its behaviour matters, and a scripted one where it has to misbehave.
// Dialogues that must pass through unchanged are files in testdata/dialogues; dialogue_test.go says how they are
// written.
package e2e
