package main

import (
	"go/ast"
	"reflect"
	"strings"
	"testing"

	"portico/configs"
)

// settingsAppliers are the functions that read settings and run at each change of them. The compiler keeps the way to
// the mailbox servers from reading a setting that tierSettingsOf does not.
var settingsAppliers = map[string]bool{
	"front.settings":   true, // clients' sessions
	"tierSettingsOf":   true, // the way to the mailbox servers
	"clientSide.bound": true, // the relay
	"protocolSettings": true, // the protocol log
}

// settingsReaders are other functions that may read settings which an applier reads, too.
var settingsReaders = map[string]bool{
	"relayOptions": true, // at the start; clientSide.bound applies changes
	"movedServers": true, // at each change, for the log
}

// TestSettingsApplyAtRunTime: each setting is read by a function that runs at each change. Another function might run
// once, at the start or at a reload, and a change with `portico settings set` would be shown as in force and do
// nothing.
func TestSettingsApplyAtRunTime(t *testing.T) {
	applied := make(map[string]bool)
	for _, of := range sources(t) {
		if of.path == configsPath {
			continue
		}
		for _, file := range of.files {
			for _, decl := range file.Decls {
				name := declared(decl)
				for field := range settingsRead(decl, of) {
					switch {
					case settingsAppliers[name]:
						applied[field] = true
					case !settingsReaders[name]:
						t.Errorf("%s: %s reads %s. Read it in a function of settingsAppliers: others may run before a "+
							"change only", of.path, name, field)
					}
				}
			}
		}
	}
	for field := range reflect.TypeFor[configs.Settings]().Fields() {
		if !applied["Settings."+field.Name] {
			t.Errorf("settings.%s: no function of settingsAppliers reads it, so a change at run time does nothing",
				field.Tag.Get("yaml"))
		}
	}
}

// declared returns the name of a function, as TYPE.NAME if it is a method; "a variable" for other declarations.
func declared(decl ast.Decl) string {
	f, ok := decl.(*ast.FuncDecl)
	if !ok {
		return "a variable"
	}
	name := f.Name.Name
	if f.Recv != nil {
		of := f.Recv.List[0].Type
		if pointer, ok := of.(*ast.StarExpr); ok {
			of = pointer.X
		}
		if receiver, ok := of.(*ast.Ident); ok {
			name = receiver.Name + "." + name
		}
	}
	return name
}

// settingsRead returns the fields of configs.Settings that a declaration reads.
func settingsRead(decl ast.Decl, of source) map[string]bool {
	r := reader{make(map[string]bool), make(map[string]bool)}
	r.look(decl, of.info)
	for field := range r.fields {
		if !strings.HasPrefix(field, "Settings.") {
			delete(r.fields, field)
		}
	}
	return r.fields
}
