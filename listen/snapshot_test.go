package listen

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is a snapshot as the plain set of the transactions that it sees.
type model struct {
	visible []bool // by xid
}

// randomPair returns two snapshots, as running and ended transactions make them, with their models.
func randomPair(r *rand.Rand) (a, b Snapshot, ma, mb model) {
	const n = 12
	ended := make([]bool, n)
	for i := range ended {
		ended[i] = r.IntN(3) > 0
	}
	a, ma = snapshotOf(ended)
	for i := range ended {
		ended[i] = r.IntN(3) > 0
	}
	b, mb = snapshotOf(ended)
	return a, b, ma, mb
}

// snapshotOf makes the snapshot of a moment in which some of the transactions 1, 2, … have ended.
func snapshotOf(ended []bool) (Snapshot, model) {
	last := 0
	for i, e := range ended {
		if e {
			last = i + 1
		}
	}
	s := Snapshot{xmax: uint64(last) + 1}
	s.xmin = s.xmax
	m := model{visible: make([]bool, len(ended)+1)}
	m.visible[0] = true // long ago
	for i := range last {
		xid := uint64(i) + 1
		if ended[i] {
			m.visible[xid] = true
			continue
		}
		s.xmin = min(s.xmin, xid)
		s.running = append(s.running, xid)
	}
	return s, m
}

func TestSnapshotAgainstModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a, b, ma, mb := randomPair(r)
		covers := true
		for xid := range ma.visible {
			require.Equal(t, ma.visible[xid], a.Visible(uint64(xid)), "%s sees %d", a, xid)
			covers = covers && (!mb.visible[xid] || ma.visible[xid])
		}
		require.Equal(t, covers, a.Covers(b), "%s covers %s", a, b)
		require.True(t, a.Covers(a))
		parsed, err := ParseSnapshot(a.String())
		require.NoError(t, err)
		require.Equal(t, a, parsed)
	}
}

// TestSnapshotDifference checks the formula that reads the log: what it selects is what the later snapshot sees and the
// earlier one does not.
func TestSnapshotDifference(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		a, b, ma, mb := randomPair(r)
		xmax, running := a.difference()
		for i := range ma.visible {
			xid := int64(i)
			selected := xid >= xmax
			for _, x := range running {
				selected = selected || x == xid
			}
			require.Equal(t, mb.visible[i] && !ma.visible[i], selected && b.Visible(uint64(i)), "from %s to %s: %d", a, b, i)
		}
	}
}

func TestSnapshotText(t *testing.T) {
	t.Parallel()
	s, err := ParseSnapshot("10:20:10,14,15")
	require.NoError(t, err)
	require.Equal(t, Snapshot{xmin: 10, xmax: 20, running: []uint64{10, 14, 15}}, s)
	require.False(t, s.IsZero())
	require.True(t, Snapshot{}.IsZero())
	for _, bad := range []string{
		"", "10:20", "10:20:30:40", "x:20:", "10:x:", "20:10:", "10:20:9", "10:20:20", "10:20:12,12", "10:20:13,12",
		"10:20:,", "-1:20:", "10:9223372036854775808:",
	} {
		_, err := ParseSnapshot(bad)
		require.ErrorIs(t, err, errSnapshot, bad)
	}
}
