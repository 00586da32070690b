package ranktree_test

import (
	"fmt"

	"github.com/socksync/socksync/internal/ranktree"
)

func Example() {
	tree := ranktree.New()
	for _, city := range []string{"Berlin", "Oslo", "Rome"} {
		tree.Insert(tree.Search([]byte(city)), "key of "+city, []byte(city))
	}
	tree.Insert(tree.Search([]byte("Lima")), "key of Lima", []byte("Lima"))

	rank, _ := tree.Rank("key of Oslo")
	fmt.Println(tree.Keys(0, tree.Len()), rank)

	rank, place, _ := tree.Delete("key of Lima")
	fmt.Println(tree.Keys(1, 2))

	tree.Insert(rank, "key of Lima", place) // put back
	fmt.Println(tree.At(rank))
	// Output:
	// [key of Berlin key of Lima key of Oslo key of Rome] 2
	// [key of Oslo key of Rome]
	// key of Lima
}
