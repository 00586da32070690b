package protocol

// ItemType is the type of an item. An item is known by its type and its name
// together.
type ItemType string

// The types of items.
const (
	TypeVar      ItemType = "var"      // one value
	TypeList     ItemType = "list"     // rows in an order, followed page by page
	TypeFunction ItemType = "function" // run by its provider for a subscriber
)

// MaxNameLength is the greatest length of a name and of the id of a call, in
// bytes of UTF-8. The least is 1.
const MaxNameLength = 128

// ValidName reports whether s can be the name of an item or the id of a call:
// valid UTF-8 of 1 to MaxNameLength bytes.
func ValidName(s string) bool {
	return validLength(len(s)) && validUTF8(s)
}

func validLength(n int) bool { return n >= 1 && n <= MaxNameLength }

// Func says what a message is about.
type Func string

// The funcs of version 1. get and set mean different messages for a var and
// for a list.
const (
	FuncSubscribe      Func = "subscribe"
	FuncUnsubscribe    Func = "unsubscribe"
	FuncUnsubscribeAll Func = "unsubscribe_all"
	FuncGet            Func = "get"
	FuncSet            Func = "set"
	FuncSetAll         Func = "set_all"
	FuncSetCount       Func = "set_count"
	FuncInsert         Func = "insert"
	FuncDelete         Func = "delete"
	FuncCall           Func = "call"
	FuncReturn         Func = "return"
	FuncError          Func = "error"
)

// The funcs that version 2 adds.
const (
	FuncStep         Func = "step"
	FuncPause        Func = "pause"
	FuncResume       Func = "resume"
	FuncSetPending   Func = "set_pending"
	FuncOK           Func = "ok"
	FuncAuthenticate Func = "authenticate"
)

// Role is the part that the receiver of a message must play for the item that
// the message is about.
type Role uint8

// The roles.
const (
	RoleNone       Role = iota // the type has no such func
	RoleProvider               // the receiver owns the item
	RoleSubscriber             // the receiver follows the item
)

// roles holds the funcs that each type has. unsubscribe_all and error have no
// type and are decided before the type is looked at.
var roles = map[ItemType]map[Func]Role{
	TypeVar: {
		FuncSubscribe: RoleProvider, FuncUnsubscribe: RoleProvider, FuncGet: RoleProvider,
		FuncSet: RoleSubscriber,
	},
	TypeList: {
		FuncSubscribe: RoleProvider, FuncUnsubscribe: RoleProvider, FuncGet: RoleProvider,
		FuncSet: RoleSubscriber, FuncSetAll: RoleSubscriber, FuncSetCount: RoleSubscriber,
		FuncInsert: RoleSubscriber, FuncDelete: RoleSubscriber,
	},
	TypeFunction: {
		FuncSubscribe: RoleProvider, FuncUnsubscribe: RoleProvider, FuncCall: RoleProvider,
		FuncReturn: RoleSubscriber,
	},
}

// rolesV2 is roles for version 2, in which the changes of a list come in steps.
var rolesV2 = map[ItemType]map[Func]Role{
	TypeVar: roles[TypeVar],
	TypeList: {
		FuncSubscribe: RoleProvider, FuncUnsubscribe: RoleProvider, FuncGet: RoleProvider,
		FuncPause: RoleProvider, FuncResume: RoleProvider,
		FuncSetAll: RoleSubscriber, FuncStep: RoleSubscriber, FuncSetPending: RoleSubscriber,
	},
	TypeFunction: roles[TypeFunction],
}

// RoleOf is V1.RoleOf.
func RoleOf(t ItemType, f Func) Role { return V1.RoleOf(t, f) }

// RoleOf returns the role that the receiver of a message must have, or RoleNone
// if items of the type have no such func. It is the part of row g of the error
// table that needs no state.
func (v Version) RoleOf(t ItemType, f Func) Role {
	if v == V2 {
		return rolesV2[t][f]
	}
	return roles[t][f]
}

// typeless reports whether messages with the func are about no item.
func (f Func) typeless() bool {
	switch f {
	case FuncUnsubscribeAll, FuncError, FuncOK, FuncAuthenticate:
		return true
	}
	return false
}

// funcOf returns the func with the name, "" if the version has none.
func (v Version) funcOf(name []byte) Func {
	f, ok := knownFuncs[string(name)]
	if !ok && v == V2 {
		f = knownFuncsV2[string(name)]
	}
	return f
}

// knownFuncs, knownFuncsV2 and knownTypes turn what came over the wire into a
// constant without an allocation, and keep nothing of what is not known.
var (
	knownFuncs = map[string]Func{
		"subscribe": FuncSubscribe, "unsubscribe": FuncUnsubscribe, "unsubscribe_all": FuncUnsubscribeAll,
		"get": FuncGet, "set": FuncSet, "set_all": FuncSetAll, "set_count": FuncSetCount,
		"insert": FuncInsert, "delete": FuncDelete, "call": FuncCall, "return": FuncReturn, "error": FuncError,
	}
	knownFuncsV2 = map[string]Func{
		"step": FuncStep, "pause": FuncPause, "resume": FuncResume, "set_pending": FuncSetPending,
		"ok": FuncOK, "authenticate": FuncAuthenticate,
	}
	knownTypes = map[string]ItemType{"var": TypeVar, "list": TypeList, "function": TypeFunction}
)
