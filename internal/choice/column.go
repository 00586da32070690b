package choice

import (
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/socksync/socksync/binding"
)

// Column is a column of the list's table, as far as a choice needs to know it. Of a domain, all but Name, JSON and
// Collation is said of the type that it is over.
type Column struct {
	// Name is the exact name, JSON the name that subscribers know; "" hides the column.
	Name, JSON string
	// Type is the type's name as a cast takes it, without a modifier.
	Type string
	// OID is the type, as in pg_type.
	OID uint32
	// Domain, Array, Composite and Enum say of what kind the type is.
	Domain, Array, Composite, Enum bool
	// Text says that the values are text, or become it by an implicit cast.
	Text bool
	// Collation is the column's collation in SQL, "" for none and for the database's.
	Collation string
	// Deterministic says that the collation has no two equal texts that differ, or that there is none.
	Deterministic bool
	// Equal says that the type has = of a default operator class, Ordered that it has < and its like.
	Equal, Ordered bool
	// Operators is the schema of these operators in SQL; "" leaves it to the search path.
	Operators string
	// Output says that the text of a value is had by the type's output function, because a cast may be somebody's own.
	Output bool
	// Unicode says that the database holds every text that a subscriber can send.
	Unicode bool
}

// kind is what the database is asked about a column and a value.
type kind uint8

const (
	isNull    kind = iota
	isNotNull      // of a composite value not the contrary of isNull
	equal
	less
	lessOrEqual
	greater
	greaterOrEqual
	startsWith
	contains
	everyWord  // of a search; about all search columns
	ofIdentity // the part of the list's condition that names values of the identity
)

// symbols are the operators by which kinds are decided.
var symbols = map[kind]string{equal: "=", less: "<", lessOrEqual: "<=", greater: ">", greaterOrEqual: ">="}

// operator returns the operator of the type's own operator class, wherever the search path leads.
func (c *Column) operator(k kind) string {
	if c.Operators == "" {
		return symbols[k]
	}
	return "OPERATOR(" + c.Operators + "." + symbols[k] + ")"
}

// value returns the column as a value of its type: there are no operators of domains.
func (c *Column) value(table string) string {
	name := table + "." + binding.QuoteIdent(c.Name)
	if c.Domain {
		return name + "::" + c.Type
	}
	return name
}

// text returns the column as text.
func (c *Column) text(table string) string { return c.value(table) + "::pg_catalog.text" }

// bytewise returns how the text is compared by its bytes. Under a deterministic collation that is so by itself, and
// saying it would keep an index from being used.
func (c *Column) bytewise() string {
	if c.Deterministic {
		return ""
	}
	return byteOrder
}

const byteOrder = ` COLLATE pg_catalog."C"`

// lower returns the lower form of a text that is a parameter, as the column's own texts are lowered.
func (c *Column) lower(text string) string {
	if c.Collation != "" {
		text += " COLLATE " + c.Collation
	}
	return "pg_catalog.lower(" + text + ")"
}

// unnests reports whether unnest yields the elements of an array of the column's values. There is no array of arrays,
// and of composite values it makes columns.
func (c *Column) unnests() bool { return !c.Array && !c.Composite }

// array returns the type of an array that unnest can take apart: of the column's values, otherwise of their texts.
func (c *Column) array() string {
	if c.unnests() {
		return c.Type + "[]"
	}
	return "pg_catalog.text[]"
}

// element returns the element of such an array as a value of the column's type.
func (c *Column) element(name string) string {
	if c.unnests() {
		return name
	}
	return name + "::" + c.Type
}

// written returns the text of a value of the type that is not NULL, the same for a row's value and for one that it is
// compared with.
func (c *Column) written(value string) string {
	if c.Output {
		return "pg_catalog.format('%s', " + value + ")"
	}
	return value + "::pg_catalog.text"
}

// writtenOrNull is written for a value that may be NULL.
func (c *Column) writtenOrNull(value string) string {
	if c.Output {
		return "CASE WHEN " + value + " IS NOT NULL THEN " + c.written(value) + " END"
	}
	return c.written(value)
}

// Hashed reports whether values of the type are equal exactly if their texts are, so that Go can look them up.
func (c *Column) Hashed() bool {
	return c.Equal && c.Deterministic && (c.Enum || textual[c.OID])
}

// textual are the types with one text for each value. Numbers with a fraction have several (1.0 and 1.00, 0 and -0),
// and so have intervals.
var textual = map[uint32]bool{
	pgtype.BoolOID: true, pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true, pgtype.OIDOID: true,
	pgtype.TextOID: true, pgtype.VarcharOID: true, pgtype.BPCharOID: true, pgtype.NameOID: true,
	pgtype.UUIDOID: true, pgtype.ByteaOID: true, pgtype.MacaddrOID: true,
	pgtype.DateOID: true, pgtype.TimeOID: true, pgtype.TimestampOID: true, pgtype.TimestamptzOID: true,
}

// takes reports whether the type has an operator.
func (c *Column) takes(o binding.Operator) bool {
	switch o {
	case binding.OpEq, binding.OpNe, binding.OpIn:
		return c.Equal
	case binding.OpLt, binding.OpLte, binding.OpGt, binding.OpGte:
		return c.Ordered
	case binding.OpPrefix, binding.OpContains:
		return c.Text
	default:
		return o == binding.OpNull
	}
}

// isRegistered reports whether the type's values are names that the database looks up.
func (c *Column) isRegistered() bool { return strings.HasPrefix(c.Type, "reg") }
