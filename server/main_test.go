package server_test

import (
	"testing"

	"github.com/socksync/socksync/internal/pgtest"
)

func TestMain(m *testing.M) {
	if runRole() {
		return
	}
	pgtest.Main(m)
}
