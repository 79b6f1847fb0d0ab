package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxFileSize is far above the size of any real configuration. It keeps a wrong path (a device, a log) from filling
// memory.
const MaxFileSize = 1 << 20

// Load reads, parses and validates the configuration at path. If the file has errors, the error is of type [Problems]
// and holds all errors and warnings. A file that cannot be read gives another error. [Config.Warnings] returns the
// warnings of a valid configuration.
func Load(path string) (*Config, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	return LoadText(path, data)
}

// LoadText is [Load] for a text that is not in the file. The name appears in messages, and paths in the text are
// relative to its folder.
func LoadText(name string, data []byte) (*Config, error) {
	c, problems := parse(name, data)
	problems = append(problems, c.Validate()...)
	problems.sort()
	if err := problems.Err(); err != nil {
		return nil, err
	}
	c.warnings = problems
	return c, nil
}

// Parse reads a configuration from data. It reads no other file and does not call [Config.Validate]. The name appears
// in messages, and paths in the file are relative to its folder. The error is of type [Problems].
func Parse(name string, data []byte) (*Config, error) {
	c, problems := parse(name, data)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Warnings returns the warnings of [Load].
func (c *Config) Warnings() Problems { return c.warnings }

// DataDirOf returns the data folder that a text names, or the default, even if the text has errors.
func DataDirOf(name string, data []byte) string {
	c, _ := parse(name, data)
	return c.DataDir
}

// Read reads the text of a configuration file. What is too long for one is cut: [LoadText] refuses it.
func Read(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return data, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFileSize+1))
}

// parse always returns a configuration: a value that cannot be read keeps its default.
func parse(name string, data []byte) (*Config, Problems) {
	c := Default()
	c.source = &source{file: name, locations: map[string]location{}, broken: map[string]bool{}}
	d := &decoder{source: c.source}
	if body := d.syntax(data); body != nil {
		d.locations[""] = location{startOf(body), startOf(body)}
		d.value("", body, reflect.ValueOf(c).Elem())
	}
	resolve(reflect.ValueOf(c).Elem(), filepath.Dir(name), false)
	d.problems.sort()
	return c, d.problems
}

// syntax parses data and returns its only document, or nil.
func (d *decoder) syntax(data []byte) ast.Node {
	if len(data) > MaxFileSize {
		d.unreadable(position{1, 1}, fmt.Sprintf("larger than %d bytes: not a configuration file", MaxFileSize))
		return nil
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) // the parser miscounts lines with CRLF
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntaxError(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.unreadable(startOf(doc.Body), "a second YAML document: the file must hold one")
			break
		}
		body = doc.Body
	}
	return body
}

func (d *decoder) syntaxError(err error) {
	at, message := position{1, 1}, err.Error()
	var detail interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &detail) {
		message = detail.GetMessage()
		if tk := detail.GetToken(); tk != nil && tk.Position != nil {
			at = position{tk.Position.Line, tk.Position.Column}
		}
	}
	d.unreadable(at, "not YAML: "+message)
}

// unreadable reports a file without any readable value. It also silences every rule, which would only report
// consequences.
func (d *decoder) unreadable(at position, message string) {
	d.fail("", at, "%s", message)
	for _, key := range keysOf(reflect.TypeFor[Config]()) {
		d.broken[key] = true
	}
}

// resolve makes the file names in v absolute: those of fields with the tag `file`. It puts changed elements of maps
// back, since they cannot be set in place. isFile is true inside such a field.
func resolve(v reflect.Value, dir string, isFile bool) {
	switch v.Kind() {
	case reflect.String:
		if isFile {
			v.SetString(absolute(v.String(), dir))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag; tag.Get("yaml") != "" {
				resolve(v.Field(i), dir, tag.Get("file") != "")
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			resolve(v.Index(i), dir, isFile)
		}
	case reflect.Map:
		for name, element := range v.Seq2() {
			changed := reflect.New(element.Type()).Elem()
			changed.Set(element)
			resolve(changed, dir, isFile)
			v.SetMapIndex(name, changed)
		}
	}
}

// absolute returns a file name as it is from dir; "" stays "".
func absolute(name, dir string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	joined := filepath.Join(dir, name)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined
}
