package binding_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/socksync/socksync/binding"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mistakes takes a joined error apart. Anything in it that is not a
// DefinitionError fails the test.
func mistakes(t *testing.T, err error) []binding.DefinitionError {
	t.Helper()
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []binding.DefinitionError
		for _, e := range joined.Unwrap() {
			all = append(all, mistakes(t, e)...)
		}
		return all
	}
	var mistake *binding.DefinitionError
	require.ErrorAs(t, err, &mistake)
	return []binding.DefinitionError{*mistake}
}

// problems returns only what is wrong, not where.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var all []string
	for _, m := range mistakes(t, err) {
		all = append(all, m.Problem)
	}
	return all
}
