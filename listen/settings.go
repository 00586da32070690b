package listen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setting is a session setting and its value.
type setting struct{ name, value string }

// pins are the settings on which the text of values depends, or the speed of small queries.
var pins = []setting{
	{"timezone", "UTC"},
	{"datestyle", "ISO"},
	{"intervalstyle", "postgres"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"jit", "off"}, // compiling a query of a drain takes longer than running it
}

// PinSettings is a query that gives the transaction in which it runs the settings on which the text of values depends,
// as drains and loads have them.
func PinSettings() string { return set(pins, true) }

// drainSettings hold for the transactions of drains.
func (c *Config) drainSettings() []setting {
	return c.settings(c.StatementTimeout, c.LockTimeout)
}

// loadSettings hold for the transactions of loads. A load holds nobody up, so that it may wait for a lock.
func (c *Config) loadSettings() []setting {
	return c.settings(c.LoadTimeout, c.tuning.loadLock)
}

// idleTimeout ends a transaction whose feed was frozen, before it hinders vacuum.
const idleTimeout = time.Minute

func (c *Config) settings(statement, lock time.Duration) []setting {
	return append(pins[:len(pins):len(pins)],
		setting{"statement_timeout", milliseconds(statement)},
		setting{"lock_timeout", milliseconds(lock)},
		setting{"idle_in_transaction_session_timeout", milliseconds(idleTimeout)})
}

// applicationName is what pg_stat_activity shows.
const applicationName = "socksync feed"

// sessionSettings hold for a connection of the feed's own.
func (c *Config) sessionSettings() []setting {
	return append(c.drainSettings(),
		setting{"default_transaction_isolation", "read committed"},
		setting{"default_transaction_read_only", "off"},
		setting{"synchronous_commit", "off"}, // nothing of the feed's need outlive a crash
		setting{"idle_session_timeout", "0"},
		setting{"application_name", applicationName})
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(1, d.Milliseconds()), 10)
}

// set returns the query that applies the settings, to the transaction only or to the session.
func set(settings []setting, local bool) string {
	calls := make([]string, len(settings))
	for i, s := range settings {
		calls[i] = fmt.Sprintf("pg_catalog.set_config('%s', '%s', %t)", s.name, s.value, local)
	}
	return "select " + strings.Join(calls, ", ")
}
