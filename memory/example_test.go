package memory_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/socksync/socksync/memory"
	"github.com/socksync/socksync/protocol"
)

type viewer struct {
	Name string `json:"name"`
}

// A list whose items are found by a key: one item for each connection, say.
func ExampleList() {
	viewers := memory.NewList[viewer]("viewers", &memory.ListOptions{MaxPageSize: 20})
	for _, err := range []error{
		viewers.Put("connection 1", viewer{"Ann"}),
		viewers.Put("connection 2", viewer{"Bob"}),
		viewers.Put("connection 1", viewer{"Anna"}),
	} {
		if err != nil {
			fmt.Println(err)
		}
	}
	viewers.Remove("connection 2")
	fmt.Println(viewers.All())
	// Output: [{Anna}]
}

func ExampleVar() {
	board := memory.NewVar("board", "Welcome")
	if err := board.Set("Gate 7 is closed"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(board.Get())
	// Output: Gate 7 is closed
}

func ExampleNewFunc() {
	type sum struct {
		Numbers []int `json:"numbers"`
	}
	add := memory.NewFunc("add", func(_ context.Context, args sum) (int, error) {
		if len(args.Numbers) == 0 {
			return 0, &protocol.Error{Code: protocol.Other, Message: "nothing to add"}
		}
		total := 0
		for _, n := range args.Numbers {
			total += n
		}
		return total, nil
	})
	// This is what a call of the other end does.
	result, err := add.Call(context.Background(), json.RawMessage(`{"numbers":[1,2,3]}`))
	fmt.Println(string(result), err)
	_, err = add.Call(context.Background(), json.RawMessage(`{"numbers":"three"}`))
	fmt.Println(err)
	// Output:
	// 6 <nil>
	// socksync error 8 (other): bad arguments: string does not fit numbers
}
