// Package sqltext reads SQL as far as is needed to find the places of values in it, @name outside of quotes and comments,
// and to take a condition apart at its ANDs. It reads as Postgres divides SQL into tokens with standard_conforming_strings
// on, as it is by default, and understands no more of the grammar than it says: where it is not sure it leaves a text whole.
package sqltext
