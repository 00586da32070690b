package protocol

import "encoding/json"

// Choice is what a subscriber wants to see of a list, in version 2: which rows in which order. The zero Choice is the
// list as its provider defines it. Column names are JSON names.
type Choice struct {
	// Sort are the columns to sort by, each with a "-" in front for descending.
	Sort []string
	// Filter are conditions that all must hold. Decoding puts them in the order of column and operator.
	Filter []Condition
	// Search are words; each must be contained in one of the list's search columns.
	Search string
}

// IsZero reports whether nothing is chosen.
func (c Choice) IsZero() bool { return len(c.Sort) == 0 && len(c.Filter) == 0 && c.Search == "" }

// Condition compares a column with a value.
type Condition struct {
	Column   string
	Operator Operator
	// Value is JSON: an array for OpIn, a string for OpPrefix and OpContains, true or false for OpNull.
	Value json.RawMessage
}

// Operator compares a column with a value.
type Operator string

// The operators, with what they mean in SQL.
const (
	OpEq       Operator = "eq"       // column = value; IS NULL for null
	OpNe       Operator = "ne"       // column IS DISTINCT FROM value
	OpLt       Operator = "lt"       // column < value
	OpLte      Operator = "lte"      // column <= value
	OpGt       Operator = "gt"       // column > value
	OpGte      Operator = "gte"      // column >= value
	OpIn       Operator = "in"       // column = ANY(value), at most MaxIn elements
	OpPrefix   Operator = "prefix"   // starts_with(column, value)
	OpContains Operator = "contains" // strpos(column, value) > 0
	OpNull     Operator = "null"     // column IS NULL for true, IS NOT NULL for false
)

// Bounds of a Choice. What is beyond is error 8.
const (
	MaxSort       = 32   // columns to sort by
	MaxConditions = 64   // conditions of a filter
	MaxIn         = 100  // values of one OpIn
	MaxValue      = 4096 // bytes of JSON of one value to compare with
	MaxSearch     = 1024 // bytes of a search
	MaxWords      = 32   // words of a search
	MaxKey        = 32   // columns of a key
)
