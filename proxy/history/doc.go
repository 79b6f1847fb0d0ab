// Package history remembers for an hour what a node has counted: sessions, sign-ins, bytes, commands and their server
// times, by mailbox server, database, listener and verb.
//
// Every five seconds it gets all counters (Counts), and keeps the differences to the ones before as a sample: a few
// bytes for each group and verb that did something (encode.go). If all samples together exceed their bound, the oldest
// are merged up to a minute each, and then dropped. Questions add samples up (query.go); percentiles come from the sums
// of histograms, so they are right for any span, and for several nodes.
//
// The package does not know where the counters come from, who asks, nor a clock: times are nanoseconds of a clock that
// is never set back, passed in.
package history
