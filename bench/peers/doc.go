// Package peers compares Portico with other proxies on one machine. It is for developers of Portico, who check with it
// what a change costs, and for readers of docs/performance.md, who want to repeat its figures. It is no part of the
// portico program: whoever runs mail does not need it. To measure a mail system, use `portico bench`.
//
// All proxies have the same certificate, the same mailbox server behind them and the same load, round by round in
// turn, so that a noisy machine is noisy for all. The package measures what the proxy's own processes spend, and gives
// ratios. docs/performance.md says how, and holds the figures.
//
// The peers come from the system's packages: nginx with its mail module, HAProxy in TCP mode, and Dovecot as a login
// proxy, each with one worker, as Portico has one loop.
package peers
