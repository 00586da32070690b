package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/socksync/socksync/protocol"
)

// encode returns the JSON of a value that is going to be nested in a message, so
// many levels deep.
func encode(value any, levels int) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("memory: encode %T: %w", value, err)
	}
	raw := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	switch {
	case !utf8.Valid(raw): // a Marshaler may return anything
		return nil, fmt.Errorf("memory: encode %T: %w", value, protocol.ErrInvalidUTF8)
	case protocol.Depth(raw) > protocol.MaxDepth-levels:
		return nil, fmt.Errorf("memory: encode %T: %w", value, errDepth)
	}
	return raw, nil
}

var errDepth = errors.New("nested too deep for a message")
