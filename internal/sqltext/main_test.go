package sqltext_test

import (
	"testing"

	"github.com/socksync/socksync/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
