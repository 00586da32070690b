package wsconn

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Our frames are those of the tests' own implementation.
func FuzzFrame(f *testing.F) {
	for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 65535, 65536} {
		f.Add(bytes.Repeat([]byte("x"), n), 3, uint8(1))
	}
	f.Fuzz(func(t *testing.T, payload []byte, cut int, offset uint8) {
		head := appendHeader(nil, opText, len(payload), nil)
		require.Len(t, head, headerSize(len(payload)))
		require.Equal(t, frame{text, payload}.server(), append(head, payload...))

		key := [4]byte{1, 2, 3, 4}
		masked := appendHeader(nil, opText, len(payload), &key)
		masked = append(masked, payload...)
		body := masked[len(masked)-len(payload):]
		// In two parts, the second at an odd place.
		cut = max(0, min(cut, len(body)))
		mask(body[:cut], &key, 0)
		mask(body[cut:], &key, cut)
		require.Equal(t, frame{text, payload}.client(), masked)
		mask(body, &key, 4*int(offset))
		require.True(t, bytes.Equal(payload, body))
	})
}

func TestParseClose(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{true, false} {
		require.Equal(t, &CloseError{Code: 4001, Reason: "no"}, parseClose(closeFrame(4001, "no", client)))
		require.Equal(t, &CloseError{Code: StatusNoCode}, parseClose(appendControl(nil, opClose, nil, client)))
	}
}

// cut finds the end of the frame that was being written, wherever the kernel
// stopped.
func TestBatchCut(t *testing.T) {
	t.Parallel()
	b := &batch{
		control: frame{ponging, []byte("p")}.server(),
		msgs:    [][]byte{[]byte("small"), bytes.Repeat([]byte("L"), 300), nil, bytes.Repeat([]byte("M"), 70_000), []byte("s")},
		last:    frame{closing, closePayload(1000, "")}.server(),
	}
	b.lay()
	stream := bytes.Join(b.parts, nil)
	ends := []int{0} // after each frame
	for r := bytes.NewReader(stream); r.Len() > 0; ends = append(ends, len(stream)-r.Len()) {
		_, err := readFrame(r)
		require.NoError(t, err)
	}
	require.Len(t, ends, 1+1+5+1)
	for written := range len(stream) {
		if written > 1000 && written < 70_000 {
			continue
		}
		b.lay()
		for left := written; left > 0; { // what net.Buffers does
			n := min(left, len(b.rest[0]))
			b.rest[0] = b.rest[0][n:]
			left -= n
			if len(b.rest[0]) == 0 {
				b.rest = b.rest[1:]
			}
		}
		b.written = written
		isClose := b.cut()
		var want int
		for _, want = range ends {
			if want >= written {
				break
			}
		}
		require.Equal(t, string(stream[written:want]), string(bytes.Join(b.rest, nil)), "after %d bytes", written)
		require.Equal(t, want == len(stream), isClose)
	}
}
