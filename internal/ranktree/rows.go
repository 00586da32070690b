package ranktree

// none stands for no row, no node, no chunk.
const none = ^uint32(0)

// row is what is known of one key. For a number that is not in use, at is nowhere and leaf is the next unused number.
type row struct {
	at   location // its record
	leaf uint32   // the node that holds it
}

// rows holds the rows by number. Numbers are reused.
type rows struct {
	table  []row
	unused uint32 // head of the chain of unused numbers
	arena  arena
}

func newRows() rows {
	return rows{unused: none, arena: arena{current: none}}
}

// add stores a row and returns its number.
func (s *rows) add(key string, place []byte) uint32 {
	n := s.number()
	size := recordSize(len(key), len(place))
	at, data := s.alloc(size)
	encodeRecord(data, n, key, place)
	s.table[n].at = at
	return n
}

// number takes a number for a new row.
func (s *rows) number() uint32 {
	n := s.unused
	if n != none {
		s.unused = s.table[n].leaf
		return n
	}
	s.table = append(s.table, row{at: nowhere(), leaf: none})
	return uint32(len(s.table) - 1) //nolint:gosec // the tree's limit is 2^32 - 1 rows
}

// key returns a row's key, which is valid until the next change.
func (s *rows) key(n uint32) []byte {
	_, key, _, _ := decodeRecord(s.arena.at(s.table[n].at))
	return key
}

// place returns a row's place, which is valid until the next change.
func (s *rows) place(n uint32) []byte {
	_, _, place, _ := decodeRecord(s.arena.at(s.table[n].at))
	return place
}

// remove forgets a row.
func (s *rows) remove(n uint32) {
	at := s.table[n].at
	_, _, _, size := decodeRecord(s.arena.at(at))
	s.table[n] = row{at: nowhere(), leaf: s.unused}
	s.unused = n
	s.arena.chunks[at.chunk].live -= size
	s.arena.live -= size
	s.tidy(at.chunk)
}

// alloc makes room for a record.
func (s *rows) alloc(size int) (location, []byte) {
	a := &s.arena
	if chunkSize := a.chunkSize(); !a.fits(size) && size > chunkSize/dedicatedShare {
		return a.extend(a.open(size), size)
	}
	for !a.fits(size) {
		full := a.current
		a.current = a.open(a.chunkSize())
		if full != none {
			s.tidy(full) // may move records into the new chunk and fill it
		}
	}
	return a.extend(a.current, size)
}

// tidy evacuates a chunk of which more than half is garbage. So each byte that is copied is paid for by a byte that was
// removed, and garbage is never more than what is in use, plus one chunk.
func (s *rows) tidy(n uint32) {
	c := &s.arena.chunks[n]
	switch {
	case c.live == 0 && n == s.arena.current:
		c.data = c.data[:0]
	case c.live == 0:
		s.arena.drop(n)
	case n != s.arena.current && 2*c.live < len(c.data):
		s.evacuate(n)
	}
}

// evacuate copies the records that are in use out of a chunk and drops it. The chunk is not the current one.
func (s *rows) evacuate(n uint32) {
	data := s.arena.chunks[n].data
	for offset := 0; offset < len(data); {
		id, _, _, size := decodeRecord(data[offset:])
		from := location{chunk: n, offset: uint32(offset)}
		if s.table[id].at == from {
			to, dst := s.alloc(size)
			copy(dst, data[offset:])
			s.table[id].at = to
		}
		offset += size
	}
	s.arena.drop(n)
}

// bytes is the memory held.
func (s *rows) bytes() int {
	return cap(s.table)*rowBytes + s.arena.bytes()
}
