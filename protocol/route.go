package protocol

// MaxViewLength is the greatest length of the name of a view, in bytes of UTF-8. The least is 1.
const MaxViewLength = 64

// Route says to which window and to which request a message of version 2 belongs.
type Route struct {
	View string // chosen by the subscriber; "" is a view of its own
	ID   string // of the request that is answered; "" for none
}

var errView = &Error{Other, "view must be a string of 1 to 64 bytes"}

// Route reads view and id. Version 1 has none: the Route is zero, whatever the message holds. So is the view of messages
// that are not about a list or a var, and no route of an error or an ok is wrong, since these are not answered.
//
// An error has the code Other for a bad view, which is decided right behind row f of the error table, or BadID for a bad
// id. A bad id is row j: the methods that decode the fields of a message report it in its place, so a receiver looks at
// a BadID of this method only if the message has no fields of its own, as subscribe. With the error come the parts that
// are valid, for the answer.
func (f *Frame) Route() (Route, error) {
	if f.Version != V2 {
		return Route{}, nil
	}
	view, viewErr := f.view()
	r := Route{View: view}
	var err error
	if f.present(fieldID) != nil {
		r.ID, err = f.identifier()
	}
	if f.Func == FuncError || f.Func == FuncOK {
		return r, nil
	}
	if viewErr != nil {
		err = viewErr
	}
	return r, err
}

func (f *Frame) view() (string, error) {
	if f.Func.typeless() && f.Func != FuncError || f.Type == TypeFunction || f.present(fieldView) == nil {
		return "", nil
	}
	text, ok := unquote(f.fields[fieldView])
	if !ok || len(text) < 1 || len(text) > MaxViewLength {
		return "", errView
	}
	return string(text), nil
}

// AppendHead appends the beginning of a version 2 message about an item: its func, type and name, and the route. The
// caller appends the other fields, each with its comma, and the closing brace, or one of the shared bodies:
// [AppendStepBody], [AppendSetAllBody].
func AppendHead(dst []byte, f Func, t ItemType, name string, r Route) []byte {
	return appendRoute(appendHead(dst, f, t, name), r)
}

func appendRoute(dst []byte, r Route) []byte {
	if r.View != "" {
		dst = appendText(dst, fieldView, r.View)
	}
	if r.ID != "" {
		dst = appendText(dst, fieldID, r.ID)
	}
	return dst
}
