package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// chunkSize is about what a relay reads at once.
const chunkSize = 64 << 10

// benchmark hands a stream to scan as a relay does: what it leaves of a chunk is offered again with more behind it.
func benchmark(b *testing.B, stream []byte, scan func(p []byte) (used int)) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		for at := 0; at < len(stream); {
			at += scan(stream[at:min(len(stream), at+chunkSize)])
		}
	}
}

// indexLines is the least that any line scanner has to do.
func indexLines(p []byte) (used int) {
	for {
		i := bytes.IndexByte(p[used:], '\n')
		if i < 0 {
			return len(p)
		}
		used += i + 1
	}
}

func scanCommands(s *CommandScanner) func([]byte) int {
	return func(p []byte) (used int) {
		for {
			n, event, _ := s.Next(p[used:])
			if used += n; event == CommandMore {
				return used
			}
		}
	}
}

func scanResponses(s *ResponseScanner) func([]byte) int {
	return func(p []byte) (used int) {
		for {
			n, event, _ := s.Next(p[used:])
			if used += n; event == ResponseMore {
				return used
			}
		}
	}
}

func benchStreams() (commands, lines, literals []byte) {
	for i := range 10_000 {
		commands = fmt.Appendf(commands,
			"A%05d UID FETCH %d:* (FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject)])\r\nA%05d NOOP\r\n", i, i, i)
		lines = fmt.Appendf(lines, "* %d FETCH (FLAGS (\\Seen) UID %d)\r\n", i, i+4444)
	}
	line := strings.Repeat("0123456789abcdef", 4) + "0123456789ab\r\n" // 78 bytes, as mail has them
	body := strings.Repeat(line, 1<<20/len(line))
	for i := range 4 {
		literals = fmt.Appendf(literals, "* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\nA%d OK done\r\n", i, i,
			len(body), body, i)
	}
	return commands, lines, literals
}

func BenchmarkScan(b *testing.B) {
	commands, lines, literals := benchStreams()
	b.Run("commands", func(b *testing.B) { benchmark(b, commands, scanCommands(new(CommandScanner))) })
	b.Run("commands/IndexByte", func(b *testing.B) { benchmark(b, commands, indexLines) })
	b.Run("lines", func(b *testing.B) { benchmark(b, lines, scanResponses(new(ResponseScanner))) })
	b.Run("lines/IndexByte", func(b *testing.B) { benchmark(b, lines, indexLines) })
	b.Run("literals", func(b *testing.B) { benchmark(b, literals, scanResponses(new(ResponseScanner))) })
	b.Run("literals/IndexByte", func(b *testing.B) { benchmark(b, literals, indexLines) })
}
