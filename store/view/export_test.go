package view

// Encoded reports whether a list places its rows by encoded keys.
func (e *Engine) Encoded(name string) bool {
	answer := make(chan bool)
	e.feed.Do(func() {
		for _, l := range e.lists {
			if l.def.Name == name {
				answer <- l.plan.encoded
			}
		}
	})
	return <-answer
}
