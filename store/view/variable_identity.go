package view

import (
	"fmt"
	"slices"

	"github.com/socksync/socksync/binding"
	"github.com/socksync/socksync/internal/window"
)

// subject is what a var knows of who subscribes to it.
type subject struct {
	key    string // equal for equal values
	values []any  // of variable.identity: texts, or nil for NULL
}

// identityNames are the values of an identity that a var needs: those that its statement names, in its order, and then
// those that only its settings name.
func identityNames(s statement, settings []binding.Setting) []string {
	names := slices.Clone(s.identity)
	for _, setting := range settings {
		if !slices.Contains(names, setting.Value) {
			names = append(names, setting.Value)
		}
	}
	return names
}

// Permits implements [window.Restricted].
func (v *variable) Permits(identity window.Identity) error {
	for _, name := range v.identity {
		if _, ok := identity[name]; !ok {
			return fmt.Errorf("%s needs the value %q, which the identity does not have", v.def, name)
		}
	}
	return nil
}

// errForbidden answers who lacks a value that the var needs, and was let in all the same: a value that is not there must
// not pass for NULL.
var errForbidden = window.Refusal("forbidden")

// subject picks what the var needs of an identity. The error is fit for the peer.
func (v *variable) subject(identity window.Identity) (subject, error) {
	if v.Permits(identity) != nil {
		return subject{}, errForbidden
	}
	s := subject{values: make([]any, len(v.identity))}
	for i, name := range v.identity {
		if text := identity[name]; text != nil {
			s.values[i] = *text
		}
	}
	key, _ := appendParams(nil, s.values)
	s.key = string(key)
	return s, nil
}

// setting returns a subject's values by name, for the settings.
func (v *variable) setting(who subject) func(name string) any {
	return func(name string) any { return who.values[slices.Index(v.identity, name)] }
}
