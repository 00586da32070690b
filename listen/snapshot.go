package listen

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// errSnapshot says that a text is not the text form of a pg_snapshot.
var errSnapshot = errors.New("not a snapshot")

// Snapshot says which transactions are visible: those that had ended when it was taken. It is Postgres's pg_snapshot.
// The zero value sees nothing.
type Snapshot struct {
	xmin, xmax uint64
	running    []uint64 // ascending, all of them in [xmin, xmax)
}

// ParseSnapshot reads the text form, "xmin:xmax:running,running,…".
func ParseSnapshot(text string) (Snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Snapshot{}, fmt.Errorf("%w: %q", errSnapshot, text)
	}
	s, err := parseSnapshot(parts)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w: %q: %w", errSnapshot, text, err)
	}
	return s, nil
}

func parseSnapshot(parts []string) (s Snapshot, err error) {
	if s.xmin, err = parseXID(parts[0]); err != nil {
		return s, err
	}
	if s.xmax, err = parseXID(parts[1]); err != nil {
		return s, err
	}
	if s.xmin > s.xmax {
		return s, errors.New("xmin is above xmax")
	}
	if parts[2] == "" {
		return s, nil
	}
	for text := range strings.SplitSeq(parts[2], ",") {
		xid, err := parseXID(text)
		if err != nil {
			return s, err
		}
		if !s.mayRun(xid) {
			return s, fmt.Errorf("%d is out of range or out of order", xid)
		}
		s.running = append(s.running, xid)
	}
	return s, nil
}

// parseXID reads a 64 bit transaction id. Postgres counts in 63 bits at most, so that every id fits an int8.
func parseXID(text string) (uint64, error) { return strconv.ParseUint(text, 10, 63) }

// mayRun reports whether xid may come next in the running transactions.
func (s Snapshot) mayRun(xid uint64) bool {
	n := len(s.running)
	return xid >= s.xmin && xid < s.xmax && (n == 0 || xid > s.running[n-1])
}

// String returns the text form.
func (s Snapshot) String() string {
	b := make([]byte, 0, 48)
	b = strconv.AppendUint(b, s.xmin, 10)
	b = append(b, ':')
	b = strconv.AppendUint(b, s.xmax, 10)
	b = append(b, ':')
	for i, xid := range s.running {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, xid, 10)
	}
	return string(b)
}

// IsZero reports whether s is the zero value, which is no snapshot of a database.
func (s Snapshot) IsZero() bool { return s.xmax == 0 }

// Visible reports whether a top-level transaction's changes are visible, provided that it did not roll back.
func (s Snapshot) Visible(xid uint64) bool {
	if xid >= s.xmax {
		return false
	}
	if xid < s.xmin {
		return true
	}
	_, runs := slices.BinarySearch(s.running, xid)
	return !runs
}

// Covers reports whether everything that is visible in m is visible in s. It may be wrong on one side: ids of
// subtransactions are listed nowhere, so that a false may come where a closer look would say true.
func (s Snapshot) Covers(m Snapshot) bool {
	for _, xid := range s.running {
		if m.Visible(xid) {
			return false
		}
	}
	if m.xmax <= s.xmax {
		return true
	}
	// Nothing in [s.xmax, m.xmax) is visible in s, so that all of it must be running in m.
	i, _ := slices.BinarySearch(m.running, s.xmax)
	return uint64(len(m.running[i:])) == m.xmax-s.xmax
}

// difference returns the arguments of socksync.changes for what is not visible in s.
func (s Snapshot) difference() (xmax int64, running []int64) {
	running = make([]int64, len(s.running))
	for i, xid := range s.running {
		running[i] = int64(xid) //nolint:gosec // parseXID has checked the range
	}
	return int64(s.xmax), running //nolint:gosec // as above
}
