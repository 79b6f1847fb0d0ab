// Package wire knows how IMAP is framed (RFC 9051 section 2.2 and 9, RFC 3501, RFC 7888): where a command or a
// response begins and ends, which of its bytes are a literal, what its tag and verb are. It serves two phases of a
// session:
//
//   - sign-in, a conversation: Reader and ResponseReader give whole commands and responses, bounded in every direction;
//   - the relay, a stream: CommandScanner and ResponseScanner walk the bytes as they come, in constant memory, without
//     copying or allocating.
//
// The package must not know of time, logging, metrics, connections or configuration.
package wire
