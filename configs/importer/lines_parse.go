package importer

import (
	"slices"
	"strings"
)

// haproxySections begin a section of HAProxy's format.
var haproxySections = []string{"global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers",
	"mailers", "program", "cache", "ring", "http-errors", "log-forward", "log-profile", "fcgi-app", "crt-store",
	"traces", "acme"}

// parseHAProxy reads HAProxy's format: sections, and in them a directive a line.
func parseHAProxy(s *source, name string) ([]*directive, error) {
	var sections []*directive
	err := eachLine(s, name, true, func(x *directive) error {
		if slices.Contains(haproxySections, x.words[0]) {
			return s.add(&sections, x)
		}
		if len(sections) == 0 {
			return s.syntaxError(name, x.line, "%.40q is in no section", x.words[0])
		}
		return s.add(&sections[len(sections)-1].block, x)
	})
	return sections, err
}

// perditionShort are the long names of perdition's options of one letter.
var perditionShort = map[string]string{"A": "add_domain", "a": "authenticate_in", "B": "no_bind_banner",
	"b": "bind_address", "C": "connection_logging", "c": "client_server_specification", "D": "domain_delimiter",
	"d": "debug", "e": "explicit_domain", "F": "log_facility", "f": "config_file", "g": "group", "I": "capability",
	"i": "inetd_mode", "L": "connection_limit", "l": "listen_port", "M": "map_library", "m": "map_library_opt",
	"n": "no_lookup", "O": "ok_line", "o": "server_resp_line", "P": "protocol", "p": "outgoing_port",
	"q": "quiet", "S": "strip_domain", "s": "outgoing_server", "t": "timeout", "U": "username_from_database",
	"u": "username"}

// parsePerdition reads perdition.conf: an option a line, and behind it its value, which may have white space in it.
func parsePerdition(s *source, name string) ([]*directive, error) {
	var all []*directive
	err := eachLine(s, name, false, func(x *directive) error {
		option := strings.TrimLeft(x.words[0], "-")
		if long, ok := perditionShort[option]; ok {
			option = long
		}
		words := []string{option}
		if len(x.words) > 1 {
			words = append(words, x.value())
		}
		x.words = words
		return s.add(&all, x)
	})
	return all, err
}

// eachLine calls add for each line of a file that has words. With environment, variables in double quotes may have
// defaults.
func eachLine(s *source, name string, environment bool, add func(*directive) error) error {
	text, err := s.load(name)
	if err != nil {
		return err
	}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		begin, line := i+1, lines[i]
		for strings.HasSuffix(line, `\`) && !strings.HasSuffix(line, `\\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, `\`) + lines[i]
		}
		words, ok := splitWords(line, environment)
		if !ok {
			return s.syntaxError(name, begin, "the quote has no end")
		}
		if len(words) == 0 || words[0] == "" {
			continue
		}
		if err := add(&directive{file: s.short(name), line: begin, words: words}); err != nil {
			return err
		}
	}
	return nil
}

// splitWords splits a line at white space, up to a comment. Quotes and backslashes keep white space in a word.
func splitWords(line string, environment bool) (words []string, ok bool) {
	var word strings.Builder
	var quote byte
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			begun = true
		case quote == 0 && (c == '"' || c == '\''):
			quote, begun = c, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == '"' && environment && c == '$':
			value, length := environmentVariable(line[i:])
			word.WriteString(value)
			i += length - 1
		case quote == 0 && c == '#':
			end()
			return words, true
		case quote == 0 && strings.IndexByte(" \t\r\v\f", c) >= 0:
			end()
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return words, quote == 0
}

// environmentVariable returns the default of the environment variable that text begins with, as in
// ${NAME-default}, and the length of the variable there. Without a default it stays as it is: the environment of this
// process is not that of HAProxy.
func environmentVariable(text string) (value string, length int) {
	end := strings.IndexByte(text, '}')
	if !strings.HasPrefix(text, "${") || end < 0 {
		return "$", 1
	}
	if _, fallback, given := strings.Cut(text[2:end], "-"); given {
		return fallback, end + 1
	}
	return text[:end+1], end + 1
}
