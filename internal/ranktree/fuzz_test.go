package ranktree

import (
	"bytes"
	"testing"
)

// FuzzTree reads its input as operations of three bytes: what, where, and how many or how long.
func FuzzTree(f *testing.F) {
	f.Add([]byte{0, 0, 100, 1, 50, 30, 2, 0, 255})
	f.Add([]byte{0, 0, 255, 0, 128, 255, 1, 0, 255, 1, 0, 255})
	f.Add([]byte{3, 0, 255, 3, 0, 255, 1, 0, 1, 3, 9, 9})
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := newPair(t)
		ops = ops[:min(len(ops), 3*60)] // checking everything after each of more takes too long
		for ; len(ops) >= 3; ops = ops[3:] {
			n := len(p.model)
			where, many := int(ops[1])*(n+1)/256, int(ops[2])
			switch ops[0] % 4 {
			case 0:
				for i := range many {
					p.insert(where, bytes.Repeat([]byte{byte(i)}, i%40))
				}
			case 1:
				for range min(many, n-where) {
					p.delete(where)
				}
			case 2:
				if where < n {
					p.undo(where)
				}
			case 3:
				p.insert(where, bytes.Repeat([]byte{ops[2]}, many*many*2))
			}
			check(t, p.tree)
		}
		p.compare()
	})
}
