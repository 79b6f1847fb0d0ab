package configs

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Each file name in the configuration is relative to the configuration file, wherever its key is.
func TestFilesAreRelative(t *testing.T) {
	dir := t.TempDir()
	c := Default()
	fill(reflect.ValueOf(c).Elem())
	nameFiles(reflect.ValueOf(c).Elem())
	resolve(reflect.ValueOf(c).Elem(), dir, false)
	resolved := make(map[string]bool)
	walk("", reflect.ValueOf(c).Elem(), func(f field) {
		if f.tag.Get("file") == "" {
			return
		}
		resolved[f.path] = true
		if want := filepath.Join(dir, "a.pem"); f.value.String() != want {
			t.Errorf("%s is %q, want %q", f.path, f.value, want)
		}
	})
	for _, path := range []string{"data_dir", "settings.log_file_location", "tls.certificates[0].cert",
		`mailbox_servers."<name>".ca`, `databases."<name>".activate.token_file`, `nodes."<name>".token_file`,
		"directory.sources[0].file"} {
		if !resolved[path] && !resolved[strings.ReplaceAll(path, `"`, "")] {
			t.Errorf("%s is not among the files %v", path, resolved)
		}
	}
}

// nameFiles gives each key for a file in v the same relative name.
func nameFiles(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			switch tag := v.Type().Field(i).Tag; {
			case tag.Get("yaml") == "":
			case tag.Get("file") != "":
				v.Field(i).SetString("a.pem")
			default:
				nameFiles(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			nameFiles(v.Index(i))
		}
	case reflect.Map:
		for name, element := range v.Seq2() {
			named := reflect.New(element.Type()).Elem()
			named.Set(element)
			nameFiles(named)
			v.SetMapIndex(name, named)
		}
	}
}

// Lists and maps hold file names at any depth: in elements, as elements, and in maps of maps.
func TestFilesAreRelativeAtAnyDepth(t *testing.T) {
	type inner struct {
		CA    string   `yaml:"ca" file:"relative"`
		Other string   `yaml:"other"`
		Roots []string `yaml:"roots" file:"relative"`
	}
	type outer struct {
		Inner map[string]inner  `yaml:"inner"`
		List  []inner           `yaml:"list"`
		Named map[string]string `yaml:"named" file:"relative"`
	}
	of := func(file string) outer {
		in := inner{CA: file, Other: "x", Roots: []string{file, "/absolute", ""}}
		return outer{Inner: map[string]inner{"a": in, "b": in}, List: []inner{in},
			Named: map[string]string{"a": file}}
	}
	got := struct {
		Outer map[string]outer `yaml:"outer"`
	}{map[string]outer{"o": of("a.pem")}}
	resolve(reflect.ValueOf(&got).Elem(), "/etc/portico", false)
	if want := of("/etc/portico/a.pem"); !reflect.DeepEqual(got.Outer["o"], want) {
		t.Errorf("%+v, want %+v", got.Outer["o"], want)
	}
}
