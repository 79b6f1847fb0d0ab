package importer

import (
	"path/filepath"
	"strings"
)

// parseNginx reads nginx's format: directives that end with ";", blocks in braces, includes.
func parseNginx(s *source, name string) ([]*directive, error) {
	dir := filepath.Dir(name) // of the first file; names in included files are relative to it too
	var parse func(name string) ([]*directive, error)
	parse = func(name string) ([]*directive, error) {
		text, err := s.load(name)
		if err != nil {
			return nil, err
		}
		p := &nginxParser{source: s, name: name, dir: dir, text: text, line: 1, parse: parse}
		return p.block(0)
	}
	return s.parse(name, parse)
}

type nginxParser struct {
	source *source
	name   string
	dir    string
	text   string // what is left
	line   int
	parse  func(name string) ([]*directive, error)
}

// block reads directives up to the brace that closes the block, or to the end of the file.
func (p *nginxParser) block(depth int) (all []*directive, err error) {
	if depth > maxDepth {
		return nil, p.source.syntaxError(p.name, p.line, "%s", errDepth)
	}
	x := &directive{file: p.source.short(p.name)}
	for {
		word, special, err := p.token()
		switch {
		case err != nil:
			return nil, err
		case special == 0:
			if len(x.words) == 0 {
				x.line = p.line
			}
			x.words = append(x.words, word)
			continue
		case special == eof || special == '}':
			if len(x.words) > 0 || (special == '}') != (depth > 0) {
				return nil, p.source.syntaxError(p.name, p.line, "unexpected %s", nginxSpecial[special])
			}
			return all, nil
		case len(x.words) == 0:
			return nil, p.source.syntaxError(p.name, p.line, "unexpected %s", nginxSpecial[special])
		}
		if special == '{' {
			if x.block, err = p.block(depth + 1); err != nil {
				return nil, err
			}
		}
		if special == ';' && x.words[0] == "include" && len(x.words) == 2 {
			included, err := p.source.include(p.dir, x.words[1], p.parse)
			if err != nil {
				return nil, p.source.syntaxError(p.name, x.line, "include: %s", err)
			}
			all = append(all, included...)
		} else if err := p.source.add(&all, x); err != nil {
			return nil, err
		}
		x = &directive{file: x.file}
	}
}

const eof = -1

var nginxSpecial = map[rune]string{eof: "end of the file", '{': "{", '}': "}", ';': ";"}

// token returns a word, or one of the characters that end a directive.
func (p *nginxParser) token() (word string, special rune, err error) {
	p.skip()
	if p.text == "" {
		return "", eof, nil
	}
	switch c := p.text[0]; c {
	case '{', '}', ';':
		p.text = p.text[1:]
		return "", rune(c), nil
	case '"', '\'':
		return p.quoted(c)
	}
	return p.plain(), 0, nil
}

// skip skips white space and comments.
func (p *nginxParser) skip() {
	for p.text != "" {
		switch p.text[0] {
		case '\n':
			p.line++
		case ' ', '\t', '\r':
		case '#':
			end := strings.IndexByte(p.text, '\n')
			if end < 0 {
				end = len(p.text)
			}
			p.text = p.text[end:]
			continue
		default:
			return
		}
		p.text = p.text[1:]
	}
}

func (p *nginxParser) quoted(quote byte) (string, rune, error) {
	begin := p.line
	var b strings.Builder
	for i := 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == quote:
			p.text = p.text[i+1:]
			return b.String(), 0, nil
		case c == '\\' && i+1 < len(p.text):
			i++
			b.WriteByte(p.text[i])
		default:
			if c == '\n' {
				p.line++
			}
			b.WriteByte(c)
		}
	}
	return "", 0, p.source.syntaxError(p.name, begin, "the quote has no end")
}

// plain reads a word without quotes. The braces of ${name} belong to it.
func (p *nginxParser) plain() string {
	var b strings.Builder
	i := 0
	for ; i < len(p.text); i++ {
		c := p.text[i]
		if strings.IndexByte(" \t\r\n;{", c) >= 0 {
			if end := strings.IndexByte(p.text[i:], '}'); c == '{' && i > 0 && p.text[i-1] == '$' && end > 0 {
				b.WriteString(p.text[i : i+end+1])
				p.line += strings.Count(p.text[i:i+end], "\n")
				i += end
				continue
			}
			break
		}
		if c == '\\' && i+1 < len(p.text) {
			if i++; p.text[i] == '\n' {
				p.line++
			}
			c = p.text[i]
		}
		b.WriteByte(c)
	}
	p.text = p.text[i:]
	return b.String()
}
