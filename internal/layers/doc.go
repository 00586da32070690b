// Package layers holds the rule of which package may import which, as a test. It has no code of its own.
package layers
