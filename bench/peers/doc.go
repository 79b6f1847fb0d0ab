// Package peers runs Portico side by side with other proxies on one machine: same certificate, same mailbox server behind
// them, same load, round by round in turn, so that a noisy machine is noisy for all. It measures what the proxy's own process
// spends, and gives ratios.
//
// The peers come from the system's packages: nginx with its mail module, and HAProxy in TCP mode, each with one worker, as
// Portico has one loop.
package peers
