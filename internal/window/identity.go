package window

// Identity is what a source may know of who subscribes: values by name, as texts that Postgres reads as whatever type the
// place has; nil is NULL. A nil Identity has no values. It is immutable.
type Identity map[string]*string

// Restricted is a [Source] or [ValueSource] that not everybody can subscribe to.
type Restricted interface {
	// Permits returns nil if the identity has every value that the source needs. Any error refuses the item, as an
	// authorizer does; it is for the log. It may be called by any goroutine.
	Permits(Identity) error
}
