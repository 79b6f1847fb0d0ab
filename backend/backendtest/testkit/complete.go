package testkit

import "reflect"

// Complete returns given with what it leaves zero taken from whole, field by field, those of structs inside too. Tests
// give the options that they are about, and complete them by it.
func Complete[T any](given, whole T) T {
	complete(reflect.ValueOf(&given).Elem(), reflect.ValueOf(&whole).Elem())
	return given
}

func complete(given, whole reflect.Value) {
	if given.IsZero() {
		given.Set(whole)
		return
	}
	if given.Kind() != reflect.Struct {
		return
	}
	for i := range given.NumField() {
		if given.Type().Field(i).IsExported() {
			complete(given.Field(i), whole.Field(i))
		}
	}
}
