package view

import "iter"

// few is a set that mostly has one member, which then takes no memory of its own: there are many windows of one subscriber.
// The zero value is empty.
type few[T comparable] struct {
	one  T
	has1 bool
	more map[T]struct{} // the others
}

func (s *few[T]) len() int {
	n := len(s.more)
	if s.has1 {
		n++
	}
	return n
}

func (s *few[T]) has(x T) bool {
	_, ok := s.more[x]
	return ok || s.has1 && s.one == x
}

// add reports whether the member is new.
func (s *few[T]) add(x T) bool {
	switch {
	case s.has(x):
		return false
	case !s.has1:
		s.one, s.has1 = x, true
	default:
		if s.more == nil {
			s.more = map[T]struct{}{}
		}
		s.more[x] = struct{}{}
	}
	return true
}

// remove reports whether there was such a member.
func (s *few[T]) remove(x T) bool {
	if s.has1 && s.one == x {
		var none T
		s.one, s.has1 = none, false
		return true
	}
	_, was := s.more[x]
	delete(s.more, x)
	if len(s.more) == 0 {
		s.more = nil
	}
	return was
}

// all yields the members; they may be removed meanwhile.
func (s *few[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		if s.has1 && !yield(s.one) {
			return
		}
		for x := range s.more {
			if !yield(x) {
				return
			}
		}
	}
}
