// Package testdata holds the data of the examples and tests; SOURCES.md says where
// it comes from.
package testdata

import _ "embed" // the files below

// Flights is flights.csv: 20,000 flights by departs_at, with a header line.
//
//go:embed flights.csv
var Flights string

// Airports is airports.csv: 3,376 airports, with a header line.
//
//go:embed airports.csv
var Airports string
