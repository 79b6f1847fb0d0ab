// Package poll is the kernel's side of an event loop on Linux: an epoll set, a mailbox by which other goroutines ask
// the loop for something, and batches of system calls (io_uring).
//
// The relay's loops and the threads of the set-up have one each. The package does not know what they wait for, nor
// what for.
package poll
