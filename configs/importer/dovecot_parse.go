package importer

import (
	"path/filepath"
	"strings"
)

// parseDovecot reads the format of Dovecot 2.3 and 2.4, and of the files that passdbs name: "key = value", blocks in
// braces, includes.
func parseDovecot(s *source, name string) ([]*directive, error) {
	return s.parse(name, func(name string) ([]*directive, error) { return parseDovecotFile(s, name) })
}

func parseDovecotFile(s *source, name string) ([]*directive, error) {
	text, err := s.load(name)
	if err != nil {
		return nil, err
	}
	p := &dovecotParser{source: s, name: name, lines: strings.Split(text, "\n")}
	return p.block(0)
}

type dovecotParser struct {
	source *source
	name   string
	lines  []string
	line   int      // lines that have been read
	rest   []string // of the last line: what follows a brace in it
}

// block reads lines up to the brace that closes the block, or to the end of the file.
func (p *dovecotParser) block(depth int) (all []*directive, err error) {
	if depth > maxDepth {
		return nil, p.source.syntaxError(p.name, p.line, "%s", errDepth)
	}
	for len(p.rest) > 0 || p.line < len(p.lines) {
		begin := p.line + 1
		if len(p.rest) > 0 {
			begin = p.line
		}
		text, err := p.part()
		if err != nil {
			return nil, err
		}
		x := &directive{file: p.source.short(p.name), line: begin}
		switch {
		case text == "":
			continue
		case text == "}":
			if depth == 0 {
				return nil, p.source.syntaxError(p.name, begin, "unexpected }")
			}
			return all, nil
		case text[0] == '!':
			included, err := p.include(text, begin)
			if err != nil {
				return nil, err
			}
			all = append(all, included...)
			continue
		case strings.HasSuffix(text, "{"):
			for _, word := range strings.Fields(strings.TrimSuffix(text, "{")) {
				x.words = append(x.words, unquote(word))
			}
			if x.block, err = p.block(depth + 1); err != nil {
				return nil, err
			}
		default:
			key, value, _ := strings.Cut(text, "=")
			x.words = []string{strings.TrimSpace(key), unquote(strings.TrimSpace(value))}
		}
		if len(x.words) == 0 || x.words[0] == "" {
			return nil, p.source.syntaxError(p.name, begin, "a setting without a name")
		}
		if err := p.source.add(&all, x); err != nil {
			return nil, err
		}
	}
	if depth > 0 {
		return nil, p.source.syntaxError(p.name, p.line, "a block has no end")
	}
	return all, nil
}

// part returns the next line, or a part of it: up to a brace that opens a block, or that closes one.
func (p *dovecotParser) part() (string, error) {
	var text string
	if len(p.rest) > 0 {
		text, p.rest = p.rest[0], p.rest[1:]
	} else {
		text = p.logicalLine()
	}
	open, equals := strings.IndexByte(text, '{'), strings.IndexByte(text, '=')
	switch {
	case text == "" || text == "}" || text[0] == '!':
	case open > 0 && open < len(text)-1 && (equals < 0 || open < equals):
		p.rest = append([]string{strings.TrimSpace(text[open+1:])}, p.rest...)
		text = text[:open+1]
		if inner := p.rest[0]; strings.Count(inner, "=") > 1 && !strings.Contains(inner, "{") {
			return "", p.source.syntaxError(p.name, p.line, "a block with several settings on one line")
		}
	default:
		more := min(maxDepth, strings.Count(text, "}")-strings.Count(text, "{")) // than the variables in it need
		for ; more > 0 && strings.HasSuffix(text, "}") && text != "}"; more-- {
			p.rest = append([]string{"}"}, p.rest...)
			text = strings.TrimSpace(text[:len(text)-1])
		}
	}
	return text, nil
}

// logicalLine returns the next line without comments and outer white space, joined with those that continue it.
func (p *dovecotParser) logicalLine() string {
	var b strings.Builder
	for p.line < len(p.lines) {
		text := strings.TrimSpace(withoutComment(p.lines[p.line]))
		p.line++
		text, more := strings.CutSuffix(text, `\`)
		b.WriteString(text)
		if !more {
			break
		}
	}
	return strings.TrimSpace(b.String())
}

// withoutComment cuts a "#" that begins the line, or has white space before it and no quotes around it.
func withoutComment(line string) string {
	var quote byte
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote && line[i-1] != '\\' {
				quote = 0
			}
		case c == '"' || c == '\'' && i > 0 && line[i-1] == ' ':
			quote = c
		case c == '#' && (strings.TrimSpace(line[:i]) == "" || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[:i]
		}
	}
	return line
}

// unquote removes the quotes around a whole value.
func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, `'`).Replace(value[1 : n-1])
	}
	return value
}

// include reads !include, and !include_try, whose file may be missing.
func (p *dovecotParser) include(text string, line int) ([]*directive, error) {
	word, pattern, _ := strings.Cut(text, " ")
	if word != "!include" && word != "!include_try" {
		return nil, p.source.syntaxError(p.name, line, "unknown word %.40q", word)
	}
	pattern = strings.TrimSpace(pattern)
	parse := func(name string) ([]*directive, error) { return parseDovecotFile(p.source, name) }
	if word == "!include_try" && !strings.ContainsAny(pattern, "*?[") {
		full := pattern
		if !filepath.IsAbs(full) {
			full = filepath.Join(filepath.Dir(p.name), full)
		}
		if _, err := p.source.read(full); err != nil {
			return nil, nil //nolint:nilerr // that is what _try means
		}
	}
	included, err := p.source.include(filepath.Dir(p.name), pattern, parse)
	if err != nil {
		return nil, p.source.syntaxError(p.name, line, "%s: %s", word, err)
	}
	return included, nil
}
