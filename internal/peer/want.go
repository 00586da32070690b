package peer

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/socksync/socksync/internal/window"
	"github.com/socksync/socksync/protocol"
)

// ErrVersion says that the other end speaks version 1 of the protocol, which
// cannot express what was asked for.
var ErrVersion = errors.New("not in version 1 of the protocol, which the other end speaks")

// Want is what is wanted of an item: of a list a page or the rows behind one, of
// which choice; of a var the parameters, as the Filter of the Choice. The zero
// Want is the first page of the list as it is, or the var without parameters.
type Want = window.Want

// plain reports whether version 1 can express what is wanted.
func plain(w Want) bool { return !w.Anchored && w.Choice.IsZero() }

// checked returns what is wanted as the other end will read it, with the
// conditions in their order, or the error that it would answer.
func checked(w Want) (Want, error) {
	w.Rev = ""
	frame, err := protocol.V2.Parse(appendGet(nil, "x", protocol.Route{}, w))
	if err != nil {
		return Want{}, err
	}
	g, err := frame.GetList()
	if err != nil {
		return Want{}, err
	}
	w.After, w.Choice = g.After, g.Choice
	return w, nil
}

// appendGet appends the get of version 2 for a list.
func appendGet(dst []byte, name string, route protocol.Route, w Want) []byte {
	g := protocol.GetList{Anchored: w.Anchored, After: w.After, Choice: w.Choice, Rev: w.Rev}
	if !w.Anchored {
		g.Page = &w.Page
	}
	if w.Size > 0 {
		g.PageSize = &w.Size
	}
	return protocol.AppendGetListV2(dst, name, route, g)
}

// sameSpot reports whether two wants, which were checked, differ in nothing but the
// size and the revision.
func sameSpot(a, b Want) bool {
	a.Size, a.Rev, b.Size, b.Rev = 0, "", 0, ""
	none := protocol.Route{}
	return bytes.Equal(appendGet(nil, "", none, a), appendGet(nil, "", none, b))
}

func sameBytes(a, b json.RawMessage) bool { return bytes.Equal(a, b) }
