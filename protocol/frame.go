package protocol

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// ErrInvalidUTF8 says that a text message is not UTF-8. It is not answered: the
// connection is closed with CloseInvalidUTF8.
var ErrInvalidUTF8 = errors.New("message is not valid UTF-8")

// Frame is one message of which only the head has been read. Which of its
// methods is to be called follows from Func and Type.
type Frame struct {
	// Version is the version by which the message is read.
	Version Version
	// Func is "" if the version has no such func, for which [Version.RoleOf]
	// returns RoleNone.
	Func Func
	// Type is "" for the funcs that have none: unsubscribe_all, error, ok and authenticate. In version 2 an error may
	// have one. If Parse returned an error, it is the type if that is known.
	Type ItemType
	// Name is "" for the funcs that have no type, and if HasName is false. In version 2 an error may have one.
	Name string
	// HasName reports whether the name is a string that can be a name. If it
	// is not, the answer is error 3.
	HasName bool

	fields [fieldCount]json.RawMessage
}

// field is a top-level field that some message of version 1 has.
type field uint8

const (
	fieldFunc field = iota
	fieldType
	fieldName
	fieldPage
	fieldPageSize
	fieldTotal
	fieldItems
	fieldIndex
	fieldValue
	fieldID
	fieldArgs
	fieldCode
	fieldMessage

	// The fields of version 2.

	fieldView
	fieldRev
	fieldAfter
	fieldChanges
	fieldKey
	fieldSort
	fieldFilter
	fieldSearch
	fieldPending
	fieldToken
	fieldExpiresIn
	fieldCount
)

var fieldNames = [fieldCount]string{
	fieldFunc: "func", fieldType: "type", fieldName: "name",
	fieldPage: "page", fieldPageSize: "page_size", fieldTotal: "total_item_count", fieldItems: "items",
	fieldIndex: "index", fieldValue: "value", fieldID: "id", fieldArgs: "args",
	fieldCode: "error_code", fieldMessage: "message",
	fieldView: "view", fieldRev: "rev", fieldAfter: "after", fieldChanges: "changes", fieldKey: "key",
	fieldSort: "sort", fieldFilter: "filter", fieldSearch: "search", fieldPending: "pending",
	fieldToken: "token", fieldExpiresIn: "expires_in",
}

var fieldsByName = func() map[string]field {
	m := make(map[string]field, fieldCount)
	for f, name := range fieldNames {
		m[name] = field(f)
	}
	return m
}()

// Parse reads the head of a message of version 1. It is V1.Parse.
func Parse(data []byte) (Frame, error) { return V1.Parse(data) }

// Parse reads the head of a message. It decides the rows of the error table
// that need no state: the error is [ErrInvalidUTF8] or an [*Error] with the code
// InvalidJSON, InvalidFunc or InvalidType. The size limit and binary messages
// are the business of whoever reads the connection.
//
// The frame refers to data. With an error comes what is known of the message, for the answer: see [AppendErrorV2].
func (v Version) Parse(data []byte) (Frame, error) {
	f := Frame{Version: v}
	if !utf8.Valid(data) {
		return f, ErrInvalidUTF8
	}
	if !isObject(data) {
		return f, errNotObject
	}
	eachMember(data, f.keep)
	err := f.readHead()
	return f, err
}

var (
	errNotObject = &Error{InvalidJSON, "not a JSON object, or nested too deep"}
	errFunc      = &Error{InvalidFunc, "func is missing or not a string"}
	errType      = &Error{InvalidType, "type must be var, list or function"}
)

// keep stores a member of the message if some version has such a field. A later
// one takes the place of an earlier.
func (f *Frame) keep(name, value []byte) {
	text, ok := unquote(name)
	if !ok {
		return
	}
	if known, ok := fieldsByName[string(text)]; ok {
		f.fields[known] = value
	}
}

// readHead decides rows c to e, and reads the name for row f.
func (f *Frame) readHead() error {
	text, ok := unquote(f.fields[fieldFunc])
	if !ok {
		f.readItem()
		return errFunc
	}
	f.Func = f.Version.funcOf(text)
	if f.Func.typeless() {
		if f.Func == FuncError && f.Version == V2 {
			f.readItem()
		}
		return nil
	}
	f.readItem()
	if f.Type == "" {
		return errType
	}
	return nil
}

// readItem reads the type and the name, as far as they are valid.
func (f *Frame) readItem() {
	if text, ok := unquote(f.fields[fieldType]); ok {
		f.Type = knownTypes[string(text)]
	}
	if text, ok := unquote(f.fields[fieldName]); ok && validLength(len(text)) {
		f.Name, f.HasName = string(text), true
	}
}

// present returns the value of a field, or nil if the field is absent or null.
//
// Only the fields that are named "value" tell null from absent; they are read
// from f.fields directly.
func (f *Frame) present(k field) json.RawMessage {
	if isNull(f.fields[k]) {
		return nil
	}
	return f.fields[k]
}

func isNull(raw []byte) bool { return len(raw) > 0 && raw[0] == 'n' }

// require decides row h of the error table: all required fields are looked for
// before any is looked at. A required field that is null is absent, but a value
// may be null.
func (f *Frame) require(fields ...field) error {
	for _, k := range fields {
		if f.fields[k] == nil || k != fieldValue && isNull(f.fields[k]) {
			return &Error{MissingField, "missing field " + fieldNames[k]}
		}
	}
	return nil
}

// position reads a field of row i: page, page_size or index, at least least.
func (f *Frame) position(k field, least int) (int, error) {
	n, ok := integer(f.fields[k])
	if !ok || n < least {
		return 0, &Error{BadIndex, fieldNames[k] + " is not an integer or out of range"}
	}
	return n, nil
}

// identifier reads the id, for row j.
func (f *Frame) identifier() (string, error) {
	text, ok := unquote(f.fields[fieldID])
	if !ok || !validLength(len(text)) {
		return "", &Error{BadID, "id must be a string of 1 to 128 bytes"}
	}
	return string(text), nil
}

// checkID decides row j for a message that has an id in version 2 only.
func (f *Frame) checkID() error {
	if f.Version != V2 || f.present(fieldID) == nil {
		return nil
	}
	_, err := f.identifier()
	return err
}

// text reads a string of row k.
func (f *Frame) text(k field) (string, error) {
	text, ok := unquote(f.fields[k])
	if !ok {
		return "", wrongType(k, "a string")
	}
	return string(text), nil
}

// wrongType is the error of row k for a field that holds another type of JSON
// value than it should.
func wrongType(k field, want string) error {
	return &Error{Other, fieldNames[k] + " must be " + want}
}
