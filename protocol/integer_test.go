package protocol_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/socksync/socksync/protocol"
)

func TestIntegers(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("0", 1<<20)
	tests := []struct {
		text string
		want int // -1: not an integer
	}{
		{`0`, 0},
		{`7`, 7},
		{`-0`, 0},
		{`9007199254740991`, protocol.MaxInteger},
		{`"0"`, 0},
		{`"007"`, 7},
		{`"9007199254740991"`, protocol.MaxInteger},
		{`"\u0031\u0032"`, 12},
		{`"` + many + `5"`, 5},

		{`-1`, -1},
		{`-0.0`, -1},
		{`1.0`, -1},
		{`1e0`, -1},
		{`1E+2`, -1},
		{`1e-400`, -1},
		{`9007199254740992`, -1},
		{`9007199254740990.9`, -1},
		{`18446744073709551616`, -1}, // 2^64, so 0 if it wrapped around
		{`1` + many, -1},
		{`0.` + many, -1},
		{`1e` + many, -1},
		{`""`, -1},
		{`"-0"`, -1},
		{`"+1"`, -1},
		{`" 1"`, -1},
		{`"1\u0000"`, -1},
		{`"1.0"`, -1},
		{`"1e0"`, -1},
		{`"0x1"`, -1},
		{`"1_000"`, -1},
		{`"٣"`, -1}, // a decimal digit of Unicode, but not of JSON
		{`"9007199254740992"`, -1},
		{`"1\ud800"`, -1},
		{`true`, -1},
		{`[1]`, -1},
		{`{}`, -1},
	}
	for _, test := range tests {
		f, err := protocol.Parse([]byte(`{"func":"delete","type":"list","name":"l","index":` + test.text + `}`))
		require.NoError(t, err)
		m, err := f.Delete()
		short := test.text[:min(len(test.text), 30)]
		if test.want < 0 {
			require.Equal(t, protocol.BadIndex, codeOf(t, err), short)
			continue
		}
		require.NoError(t, err, short)
		require.Equal(t, test.want, m.Index, short)
	}
}
