package ranktree

import (
	"flag"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the randomized tests; 0 draws one")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRand returns a source of random numbers whose seed is in the test's output.
func newRand(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with -seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
