// Package pgtest gives tests a real PostgreSQL. Only tests import it.
//
// A test binary starts one private server when its first test asks for a database, and ends it after its last test.
// Each test gets a fresh database, so tests run in parallel and leave nothing behind.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestRead(t *testing.T) {
//		t.Parallel()
//		pool := pgtest.New(t)
//		…
//	}
//
// A test that stops, restarts or crashes its server takes one of its own with [Server].
package pgtest
