package listen

import "time"

// due reports whether to try to read a blocked table again.
func (b *blocked) due(now time.Time, changed bool) bool {
	return !now.Before(b.retry) || changed && !now.Before(b.early)
}

// block leaves a table out of drains for a while. Its changes stay pending. A table that has just changed is tried
// sooner, since who held its lock has probably committed.
func (s *session) block(te *TableError) {
	t, tuning := s.feed.tables.byName[te.Table], &s.feed.config.tuning
	if t.blocked == nil {
		t.blocked = &blocked{spacing: tuning.second / 10}
		s.feed.config.Log.Warn("a table cannot be read; its changes wait", "table", te.Table, "error", te.Err)
	}
	now := time.Now()
	t.blocked.err = te.Err
	t.blocked.early = now.Add(t.blocked.spacing)
	t.blocked.retry = now.Add(tuning.second)
	t.blocked.spacing = min(2*t.blocked.spacing, tuning.second)
}

// unblock notes that a table was read.
func (s *session) unblock(t *table) {
	if t.blocked != nil {
		t.blocked = nil
		s.feed.config.Log.Info("a table can be read again", "table", t.Name)
	}
}
