// Package sqltext reads SQL as far as is needed to find the places of values in it: @name outside of quotes and comments.
// It reads as Postgres divides SQL into tokens with standard_conforming_strings on, as it is by default.
package sqltext
