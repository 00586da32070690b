package view

// family are the views of a group that pin the same columns, each to values of its own. Which of them a row belongs to is
// found by hashing what it has in these columns, and which of them had it by its key; so a change costs what the views cost
// that it concerns, however many others there are. The family that pins nothing has one bucket, of which every view is
// asked. It is owned by the feed goroutine.
type family struct {
	columns []string
	buckets map[string]*bucket // by the values
	// has is the bucket whose views have a row, by its key. It is nil in the family that pins nothing.
	has map[string]*bucket
}

// bucket are the views of a family with the same values.
type bucket struct {
	family *family
	values string
	views  []*view
}

func newFamily(columns []string) *family {
	f := &family{columns: columns, buckets: map[string]*bucket{}}
	if len(columns) > 0 {
		f.has = map[string]*bucket{}
	}
	return f
}

// add puts a view to the others with the same values.
func (f *family) add(v *view, values string) *bucket {
	b := f.buckets[values]
	if b == nil {
		b = &bucket{family: f, values: values}
		f.buckets[values] = b
	}
	b.views = append(b.views, v)
	return b
}

// remove takes a view out, and with it the rows that only this view has.
func (b *bucket) remove(v *view) {
	for i, other := range b.views {
		if other == v {
			b.views[i] = b.views[len(b.views)-1]
			b.views[len(b.views)-1] = nil
			b.views = b.views[:len(b.views)-1]
			break
		}
	}
	if len(b.views) == 0 {
		delete(b.family.buckets, b.values)
	}
	if b.family.has != nil && v.indexed {
		for _, key := range v.tree.Keys(0, v.tree.Len()) {
			b.drop(key)
		}
	}
}

// drop notes that a view of the bucket does not have a row any more.
func (b *bucket) drop(key string) {
	if b.family.has[key] != b {
		return
	}
	for _, v := range b.views {
		if v.indexed && v.tree.Has(key) {
			return
		}
	}
	delete(b.family.has, key)
}

// settle notes what a stage of a view of the bucket, which has been committed, did.
func (b *bucket) settle(v *view, s *stage) {
	if b.family.has == nil {
		return
	}
	if s.joined {
		for _, key := range v.tree.Keys(0, v.tree.Len()) {
			b.family.has[key] = b
		}
		return
	}
	for key := range s.changed {
		if v.tree.Has(key) {
			b.family.has[key] = b
		} else {
			b.drop(key)
		}
	}
}

// holding returns the views that may have a row, of those that are indexed.
func (f *family) holding(key string) []*view {
	b := f.has[key]
	if f.has == nil {
		b = f.buckets[""]
	}
	if b == nil {
		return nil
	}
	return b.views
}
