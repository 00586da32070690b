package server

import (
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/socksync/socksync/internal/window"
)

// identityValues are the texts of an identity's values. The error names the value
// and its type, and never holds it.
func identityValues(identity Identity) (window.Identity, error) {
	valuer := findValuer(identity)
	if valuer == nil {
		return nil, nil //nolint:nilnil // an identity without values is one
	}
	values := valuer.IdentityValues()
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // the same
	}
	texts := make(window.Identity, len(values))
	for name, value := range values {
		text, err := valueText(value)
		if err != nil {
			return nil, fmt.Errorf("identity value %q of type %T: %w", name, value, err)
		}
		texts[name] = text
	}
	return texts, nil
}

// findValuer returns the outermost identity that has values, nil if none has.
func findValuer(identity Identity) Valuer {
	for {
		if v, ok := identity.(Valuer); ok {
			return v
		}
		w, ok := identity.(Wrapper)
		if !ok {
			return nil
		}
		identity = w.Unwrap()
	}
}

var (
	errNoText     = errors.New("it has no text that Postgres could read: give a string instead")
	errUnholdable = errors.New("text with a NUL byte, or that is not UTF-8, which Postgres cannot hold")
	errNested     = errors.New("a list in a list: give the text of a Postgres array instead")
)

// valueText returns the text of a value, nil for NULL.
func valueText(value any) (*string, error) {
	v := reflect.ValueOf(value)
	if isNil(v) {
		return nil, nil //nolint:nilnil // NULL
	}
	text, err := ownText(value)
	if errors.Is(err, errNoText) {
		return kindText(v)
	}
	return checked(text, err)
}

// isNil reports whether it is NULL. A nil slice is a slice without elements, as
// everywhere in Go.
func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	}
	return false
}

func checked(text string, err error) (*string, error) {
	if err == nil && (strings.ContainsRune(text, 0) || !utf8.ValidString(text)) {
		err = errUnholdable
	}
	if err != nil {
		return nil, err
	}
	return &text, nil
}

// ownText is the text that a type has made its own.
func ownText(value any) (string, error) {
	switch value := value.(type) {
	case time.Time:
		return value.Format(time.RFC3339Nano), nil
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			return "", errors.New("MarshalText failed") // its error may hold the value
		}
		return string(text), nil
	case fmt.Stringer:
		return value.String(), nil
	}
	return "", errNoText
}

// kindText is the text of a value whose type has none of its own.
func kindText(v reflect.Value) (*string, error) {
	switch {
	case v.Kind() == reflect.Pointer:
		return valueText(v.Elem().Interface())
	case v.CanInt():
		return checked(strconv.FormatInt(v.Int(), 10), nil)
	case v.CanUint():
		return checked(strconv.FormatUint(v.Uint(), 10), nil)
	case v.CanFloat():
		return checked(floatText(v.Float(), v.Type().Bits()), nil)
	}
	switch v.Kind() {
	case reflect.String:
		return checked(v.String(), nil)
	case reflect.Bool:
		return checked(strconv.FormatBool(v.Bool()), nil)
	case reflect.Slice, reflect.Array:
		return checked(listText(v))
	}
	return nil, errNoText
}

// floatText spells the infinities as every version of Postgres reads them.
func floatText(f float64, bits int) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

var byteType = reflect.TypeFor[byte]()

// listText is a bytea or an array.
func listText(v reflect.Value) (string, error) {
	if v.Type().Elem() == byteType {
		bytes := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(bytes), v)
		return `\x` + hex.EncodeToString(bytes), nil
	}
	elements := make([]string, v.Len())
	for i := range elements {
		var err error
		if elements[i], err = elementText(v.Index(i)); err != nil {
			return "", fmt.Errorf("element %d: %w", i, err)
		}
	}
	return "{" + strings.Join(elements, ",") + "}", nil
}

// escaped are the characters that the quotes of an array do not cover.
var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// elementText is the text of a value inside an array.
func elementText(v reflect.Value) (string, error) {
	if isArray(v) {
		return "", errNested
	}
	text, err := valueText(v.Interface())
	if err != nil {
		return "", err
	}
	if text == nil {
		return "NULL", nil
	}
	return `"` + escaped.Replace(*text) + `"`, nil
}

// isArray reports whether a value becomes an array.
func isArray(v reflect.Value) bool {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return false
	}
	_, err := ownText(v.Interface())
	return errors.Is(err, errNoText) && v.Type().Elem() != byteType
}
