package binding

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ArgumentError says that the arguments of a call do not fit the function. Its
// message names no Go types and is fit for the peer; the cause, which Unwrap
// gives, is not.
type ArgumentError struct {
	// Field is the path of the argument in the object, with dots; empty where
	// it is not known.
	Field string
	// Problem says what is wrong.
	Problem string

	cause error
}

// Error is the message for the peer.
func (e *ArgumentError) Error() string {
	if e.Field == "" {
		return "arguments: " + e.Problem
	}
	return fmt.Sprintf("argument %q: %s", e.Field, e.Problem)
}

// Unwrap returns the error of encoding/json.
func (e *ArgumentError) Unwrap() error { return e.cause }

// argumentError puts an error of decoding into t in words for the peer.
func argumentError(t reflect.Type, err error) *ArgumentError {
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &mismatch):
		problem := fmt.Sprintf("want %s, got %s", jsonKind(mismatch.Type), mismatch.Value)
		return &ArgumentError{Field: publicPath(t, mismatch.Field), Problem: problem, cause: err}
	case errors.As(err, &syntax):
		return &ArgumentError{Problem: "not valid JSON", cause: err}
	}
	return &ArgumentError{Problem: "a value is not valid", cause: err}
}

// jsonKind says in the words of JSON what decodes into t.
func jsonKind(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || t == reflect.TypeFor[[]byte]() {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return "an integer in range"
	case reflect.Float32, reflect.Float64:
		return "a number in range"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "another type"
}

// publicPath leaves out of the path of an argument the Go names of embedded
// structs, which encoding/json puts in and which the peer does not know.
func publicPath(t reflect.Type, path string) string {
	var public []string
	for name := range strings.SplitSeq(path, ".") {
		f, ok := fieldNamed(t, name)
		if !ok || !isInlined(f) {
			public = append(public, name)
		}
		if ok {
			t = f.Type
		}
	}
	return strings.Join(public, ".")
}

// fieldNamed finds the field of t, or of its elements, that has the name in a
// path.
func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tagged, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tagged == name || tagged == "" && f.Name == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// isInlined reports whether encoding/json takes the fields of f for those of
// the struct around it.
func isInlined(f reflect.StructField) bool {
	tagged, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return f.Anonymous && tagged == "" && structBelow(f.Type) != nil
}
