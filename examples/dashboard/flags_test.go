package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlags(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Setenv("REDIS_URL", "")
	o, err := parse(nil)
	require.NoError(t, err)
	require.Equal(t, options{addr: "127.0.0.1:8080", simulate: 5}, o)

	t.Setenv("DATABASE_URL", "postgres://one")
	t.Setenv("REDIS_URL", "redis://one")
	o, err = parse([]string{"-addr", ":1", "-simulate", "0"})
	require.NoError(t, err)
	require.Equal(t, options{addr: ":1", database: "postgres://one", redis: "redis://one"}, o)
	o, err = parse([]string{"-database-url", "postgres://two", "-redis-url=redis://two"})
	require.NoError(t, err)
	require.Equal(t, options{addr: "127.0.0.1:8080", database: "postgres://two", redis: "redis://two", simulate: 5}, o)
}

func TestWrongFlags(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	stderr := os.Stderr
	os.Stderr = null // for the usage
	t.Cleanup(func() {
		os.Stderr = stderr
		require.NoError(t, null.Close())
	})
	for _, args := range [][]string{{"-simulate", "-1"}, {"-simulate", "1001"}, {"-simulate", "x"}, {"-unknown"}, {"argument"}} {
		_, err := parse(args)
		require.Error(t, err, args)
	}
}
