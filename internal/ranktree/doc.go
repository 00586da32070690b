// Package ranktree holds the keys of an ordered list and answers, in logarithmic time, both "which key is at rank r" and
// "at which rank is key k".
//
// A [Tree] is a counted B-tree. It never compares keys: the caller says at which rank a key goes in, so the order may be
// one that only somebody else (a database and its collation) can decide. Beside the order it keeps a hash table from the
// key to the leaf that holds it, so that the rank of a key needs no search.
//
// Each key carries a place: bytes that the caller may use to remember where the key belongs, such as its encoded sort
// key. Where the places ascend in rank order, [Tree.Search] finds the rank for a new place.
//
// # Memory
//
// A row costs 35 to 45 bytes beside the bytes of its key and place. None of that is on the heap as an object of its own:
// rows are numbered, and nodes, rows and bytes lie in a few large slices that hold no pointers, so that the garbage
// collector has nothing to scan. Memory follows the number of rows, also downwards.
//
// # Layers
//
//   - rows.go, arena.go: the rows by number, and the bytes of their keys and places.
//   - index.go: the hash table from key to row number.
//   - node.go: the nodes and the moving of items between them.
//   - tree.go, insert.go, delete.go: the operations.
package ranktree
