// Package peers runs Portico side by side with other proxies on one machine: same certificate, same mailbox server
// behind them, same load, round by round in turn, so that a noisy machine is noisy for all. It measures what the
// proxy's own processes spend, and gives ratios. docs/performance.md says how, and holds the figures.
//
// The peers come from the system's packages: nginx with its mail module, HAProxy in TCP mode, and Dovecot as a login
// proxy, each with one worker, as Portico has one loop.
package peers
