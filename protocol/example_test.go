package protocol_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/socksync/socksync/protocol"
)

// A receiver parses a message, decides with its own state whether the item and
// the func are right, and then decodes the fields.
func ExampleParse() {
	data := []byte(`{"func":"get","type":"list","name":"departures","page":"2"}`)
	frame, err := protocol.Parse(data)
	var answer *protocol.Error
	if errors.As(err, &answer) {
		fmt.Printf("%s\n", protocol.AppendError(nil, answer))
		return
	}
	if protocol.RoleOf(frame.Type, frame.Func) == protocol.RoleProvider {
		get, _ := frame.GetList()
		fmt.Println(frame.Func, frame.Type, frame.Name, *get.Page)
	}
	// Output: get list departures 2
}

func ExampleAppendInsert() {
	message := protocol.AppendInsert(nil, "departures", 0, json.RawMessage(`{"id":7}`))
	fmt.Printf("%s\n", message)
	// Output: {"func":"insert","type":"list","name":"departures","index":0,"value":{"id":7}}
}

// A subscriber applies what the provider sends, and asks anew when it cannot.
func ExamplePage() {
	var page protocol.Page
	for _, message := range []string{
		`{"func":"set_all","type":"list","name":"l","page":0,"page_size":2,"total_item_count":2,"items":["a","b"]}`,
		`{"func":"set_count","type":"list","name":"l","total_item_count":3}`,
		`{"func":"delete","type":"list","name":"l","index":1}`,
		`{"func":"insert","type":"list","name":"l","index":0,"value":"x"}`,
		`{"func":"delete","type":"list","name":"l","index":2}`,
	} {
		frame, _ := protocol.Parse([]byte(message))
		_, err := page.Apply(&frame)
		fmt.Printf("%d %q %v\n", page.Total, page.Items, err)
	}
	// Output:
	// 2 ["\"a\"" "\"b\""] <nil>
	// 3 ["\"a\"" "\"b\""] <nil>
	// 3 ["\"a\""] <nil>
	// 3 ["\"x\"" "\"a\""] <nil>
	// 3 [] socksync error 5 (bad index): index is not on the page
}
