package binding_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/binding"
)

type delayArgs struct {
	delayBase
	ID      int64    `json:"id"`
	Minutes int8     `json:"minutes"`
	Ratio   float64  `json:"ratio"`
	Tags    []string `json:"tags"`
	Inner   struct {
		On bool `json:"on"`
	} `json:"inner"`
	At   time.Time `json:"at"`
	Raw  []byte    `json:"raw"`
	Temp celsius   `json:"temp"`
}

type delayBase struct {
	Reason string `json:"reason"`
}

type celsius [2]byte

func (c *celsius) UnmarshalText(text []byte) error {
	if len(text) != len(c) {
		return errors.New("internal detail")
	}
	copy(c[:], text)
	return nil
}

func echo(_ context.Context, a delayArgs) (delayArgs, error) { return a, nil }

func TestFuncCall(t *testing.T) {
	t.Parallel()
	d := binding.Func("echo", echo)
	require.NoError(t, d.Validate())
	require.Equal(t, `function "echo"`, d.String())
	require.Equal(t, reflect.TypeFor[delayArgs](), d.Args)
	require.Equal(t, reflect.TypeFor[delayArgs](), d.Result)
	for _, tc := range []struct {
		args string
		want delayArgs
	}{
		{"", delayArgs{}},
		{"null", delayArgs{}},
		{"{}", delayArgs{}},
		{`{"id":9007199254740993,"more":[1]}`, delayArgs{ID: 9007199254740993}},
		{`{"reason":"fog","minutes":-5}`, delayArgs{delayBase: delayBase{"fog"}, Minutes: -5}},
	} {
		got, err := d.Call(t.Context(), json.RawMessage(tc.args))
		require.NoError(t, err, tc.args)
		require.Equal(t, tc.want, got, tc.args)
	}
}

func TestFuncArgumentErrors(t *testing.T) {
	t.Parallel()
	ran := false
	d := binding.Func("f", func(context.Context, delayArgs) (int, error) { ran = true; return 0, nil })
	for args, want := range map[string]string{
		`{"id":"x"}`:            `argument "id": want an integer in range, got string`,
		`{"minutes":300}`:       `argument "minutes": want an integer in range, got number 300`,
		`{"minutes":1.5}`:       `argument "minutes": want an integer in range, got number 1.5`,
		`{"ratio":true}`:        `argument "ratio": want a number in range, got bool`,
		`{"tags":{}}`:           `argument "tags": want an array, got object`,
		`{"tags":[1]}`:          `argument "tags": want a string, got number`,
		`{"inner":[]}`:          `argument "inner": want an object, got array`,
		`{"inner":{"on":1}}`:    `argument "inner.on": want a boolean, got number`,
		`{"reason":1}`:          `argument "reason": want a string, got number`,
		`{"raw":1}`:             `argument "raw": want a string, got number`,
		`{"temp":1}`:            `argument "temp": want a string, got number`,
		`{"temp":"abc"}`:        `arguments: a value is not valid`,
		`{"at":"last tuesday"}`: `arguments: a value is not valid`,
		`[1]`:                   `arguments: want an object, got array`,
		`{"id":`:                `arguments: not valid JSON`,
	} {
		_, err := d.Call(t.Context(), json.RawMessage(args))
		require.EqualError(t, err, want, args)
		var argument *binding.ArgumentError
		require.ErrorAs(t, err, &argument, args)
		require.Error(t, errors.Unwrap(argument), args)
	}
	require.False(t, ran)
}

func TestFuncErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such flight")
	d := binding.Func("f", func(context.Context, struct{}) (int, error) { return 1, cause })
	got, err := d.Call(t.Context(), nil)
	require.Equal(t, cause, err)
	require.Nil(t, got)
}

func TestFuncPassesContext(t *testing.T) {
	t.Parallel()
	type ctxKey struct{}
	d := binding.Func("f", func(ctx context.Context, _ map[string]any) (any, error) { return ctx.Value(ctxKey{}), nil })
	got, err := d.Call(context.WithValue(t.Context(), ctxKey{}, 7), nil)
	require.NoError(t, err)
	require.Equal(t, 7, got)
}

func takes[A any]() binding.Definition {
	return binding.Func("f", func(context.Context, A) (string, error) { return "", nil })
}

func gives[R any]() binding.Definition {
	return binding.Func("f", func(context.Context, struct{}) (r R, err error) { return r, err })
}

func TestFuncTypes(t *testing.T) {
	t.Parallel()
	for _, d := range []binding.Definition{
		takes[struct{}](), takes[*struct{}](), takes[any](), takes[map[string]int](), takes[json.RawMessage](), takes[*json.RawMessage](),
		gives[struct{}](), gives[[]int](), gives[any](), gives[fmt.Stringer](), gives[*int](),
	} {
		require.NoError(t, d.Validate())
	}
	for _, d := range []binding.Definition{
		takes[int](), takes[string](), takes[[]int](), takes[*int](), takes[map[int]string](), takes[fmt.Stringer](), takes[chan int](),
	} {
		require.Equal(t, []string{"the type of the arguments does not decode from a JSON object"}, problems(t, d.Validate()))
	}
	for _, d := range []binding.Definition{gives[chan int](), gives[func()](), gives[complex128](), gives[*chan int]()} {
		require.Equal(t, []string{"the type of the result has no JSON form"}, problems(t, d.Validate()))
	}
}

func TestFuncMistakes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"missing name", "missing function"}, problems(t, binding.Func[struct{}, int]("", nil).Validate()))
	require.Equal(t, []string{"the name has 129 bytes, at most 128 are allowed", "missing function"},
		problems(t, (&binding.FuncDef{Name: strings.Repeat("x", 129)}).Validate()))
	require.NoError(t, (&binding.FuncDef{Name: "f", Call: noCall}).Validate())
}
