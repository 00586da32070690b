package ranktree

import (
	"encoding/binary"
	"math/bits"
)

const (
	minChunk = 512
	maxChunk = 64 << 10

	// dedicatedShare: a record of more than 1/dedicatedShare of a chunk gets a chunk of its own, so that little is left
	// unused at the end of a chunk.
	dedicatedShare = 4

	recordHeader = 4 // the row's number
)

// location says where a record lies.
type location struct {
	chunk, offset uint32
}

// nowhere is the location of no record.
func nowhere() location { return location{chunk: none} }

// chunk is a piece of memory that records are appended to. Records are never changed in place: what is removed becomes
// garbage until the chunk is evacuated.
type chunk struct {
	data []byte
	live int // bytes of data that belong to records in use
}

// arena holds the records of all rows. A record is the row's number (4 bytes), the lengths of key and place (uvarint),
// the key and the place. The number lets a chunk be evacuated without a table of what it holds.
type arena struct {
	chunks  []chunk
	unused  []uint32 // positions in chunks that hold nothing
	current uint32   // the chunk that is appended to, or none
	live    int      // bytes in use in all chunks
}

// recordSize is the number of bytes of the record of a key and a place of these lengths.
func recordSize(key, place int) int {
	return recordHeader + uvarintSize(key) + uvarintSize(place) + key + place
}

func uvarintSize(n int) int {
	return (bits.Len64(uint64(n)|1) + 6) / 7 //nolint:gosec // a length is not negative
}

// encodeRecord writes a record to dst, which has its exact size.
func encodeRecord(dst []byte, row uint32, key string, place []byte) {
	binary.LittleEndian.PutUint32(dst, row)
	n := recordHeader
	n += binary.PutUvarint(dst[n:], uint64(len(key)))
	n += binary.PutUvarint(dst[n:], uint64(len(place)))
	n += copy(dst[n:], key)
	copy(dst[n:], place)
}

// decodeRecord splits the record at the start of data. The results are parts of data.
func decodeRecord(data []byte) (row uint32, key, place []byte, size int) {
	row = binary.LittleEndian.Uint32(data)
	n := recordHeader
	keyLen, w := binary.Uvarint(data[n:])
	n += w
	placeLen, w := binary.Uvarint(data[n:])
	n += w
	afterKey := n + int(keyLen)      //nolint:gosec // written by encodeRecord
	size = afterKey + int(placeLen)  //nolint:gosec // written by encodeRecord
	key = data[n:afterKey:afterKey]  // capped: nobody may append into the next field
	place = data[afterKey:size:size] // likewise
	return row, key, place, size
}

// at returns the bytes from a location on.
func (a *arena) at(l location) []byte {
	return a.chunks[l.chunk].data[l.offset:]
}

// chunkSize is the size of the next chunk: small while there is little, so that a list of ten rows costs little, and a
// power of two, which the allocator does not round up.
func (a *arena) chunkSize() int {
	size := 1 << bits.Len(uint(a.live/8))
	return min(max(size, minChunk), maxChunk)
}

// fits says whether size bytes can be appended to the current chunk.
func (a *arena) fits(size int) bool {
	if a.current == none {
		return false
	}
	data := a.chunks[a.current].data
	return cap(data)-len(data) >= size
}

// extend appends size bytes to a chunk and returns where they are.
func (a *arena) extend(n uint32, size int) (location, []byte) {
	c := &a.chunks[n]
	start := len(c.data)
	c.data = c.data[:start+size]
	c.live += size
	a.live += size
	return location{chunk: n, offset: uint32(start)}, c.data[start:] //nolint:gosec // a chunk with more than one record is at most maxChunk
}

// open adds an empty chunk.
func (a *arena) open(size int) uint32 {
	c := chunk{data: make([]byte, 0, size)}
	if last := len(a.unused) - 1; last >= 0 {
		n := a.unused[last]
		a.unused = a.unused[:last]
		a.chunks[n] = c
		return n
	}
	a.chunks = append(a.chunks, c)
	return uint32(len(a.chunks) - 1) //nolint:gosec // fewer chunks than rows
}

// drop gives a chunk's memory back.
func (a *arena) drop(n uint32) {
	a.live -= a.chunks[n].live
	a.chunks[n] = chunk{}
	a.unused = append(a.unused, n)
}

// bytes is the memory held.
func (a *arena) bytes() int {
	sum := cap(a.chunks)*chunkBytes + cap(a.unused)*4
	for i := range a.chunks {
		sum += cap(a.chunks[i].data)
	}
	return sum
}
