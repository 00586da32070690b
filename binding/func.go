package binding

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// FuncDef defines a function that a peer may call. [Func] makes one from a
// typed Go function; a program may also write it out.
type FuncDef struct {
	// Name is the name to call, 1 to 128 bytes.
	Name string
	// Call runs the function. args is a JSON object; nil means that the call
	// has none. The result is published as encoding/json marshals it. It may be
	// called by many goroutines at once.
	Call func(ctx context.Context, args json.RawMessage) (any, error)
	// Args and Result are the Go types behind Call. Nil when it is not typed.
	Args, Result reflect.Type
}

// Func defines a function by a typed Go function. The object of arguments is
// decoded into A by encoding/json, with unknown fields ignored; a call without
// arguments has the zero value. A is a struct (struct{} for none), a map with
// strings as keys, or any other type that decodes from an object. Arguments
// that do not fit are an *[ArgumentError], and fn does not run. Errors of fn
// are returned as they are.
func Func[A, R any](name string, fn func(context.Context, A) (R, error)) *FuncDef {
	d := &FuncDef{Name: name, Args: reflect.TypeFor[A](), Result: reflect.TypeFor[R]()}
	if fn == nil {
		return d
	}
	d.Call = func(ctx context.Context, args json.RawMessage) (any, error) {
		var a A
		if len(args) > 0 {
			if err := json.Unmarshal(args, &a); err != nil {
				return nil, argumentError(reflect.TypeFor[A](), err)
			}
		}
		r, err := fn(ctx, a)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	return d
}

// String is the kind and the name.
func (d *FuncDef) String() string {
	if d == nil {
		return "function (nil)"
	}
	return fmt.Sprintf("function %q", d.Name)
}

// Validate returns every mistake in the definition; see [Definition].
func (d *FuncDef) Validate() error {
	r := newReport(d.String(), nil)
	if d == nil {
		r.add(place{}, "nil")
		return r.err()
	}
	checkName(r, nil, d.Name)
	if d.Call == nil {
		r.add(place{}, "missing function")
	}
	if d.Args != nil && !takesObject(d.Args) {
		r.add(place{structName: d.Args.String()}, "the type of the arguments does not decode from a JSON object")
	}
	if d.Result != nil && hasNoJSON(d.Result) {
		r.add(place{structName: d.Result.String()}, "the type of the result has no JSON form")
	}
	return r.err()
}

// takesObject reports whether a JSON object can decode into t.
func takesObject(t reflect.Type) bool {
	for {
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return true
		}
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		return true
	case reflect.Map:
		return t.Key().Kind() == reflect.String
	case reflect.Interface:
		return t.NumMethod() == 0
	}
	return false
}

// hasNoJSON reports whether encoding/json always refuses t.
func hasNoJSON(t reflect.Type) bool {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return false
	}
	return isNoValue(pointee(t))
}
