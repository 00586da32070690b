package sortkey_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// pgType is a type with values in the form that Postgres reads.
type pgType struct {
	sql    string // with the collation
	edges  []string
	random func(*rand.Rand) string
}

// cast is the type without its collation.
func (p pgType) cast() string {
	name, _, _ := strings.Cut(p.sql, " COLLATE")
	return name
}

// values returns valuesPerType values in random order: the edges, random ones, NULLs, and some of these twice.
func (p pgType) values(r *rand.Rand) []*string {
	values := make([]*string, 0, valuesPerType)
	for i := range p.edges {
		values = append(values, &p.edges[i])
	}
	for len(values) < valuesPerType {
		switch r.IntN(4) {
		case 0:
			values = append(values, nil)
		case 1:
			values = append(values, values[r.IntN(len(values))])
		default:
			s := p.random(r)
			values = append(values, &s)
		}
	}
	r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	return values
}

var (
	textEdges = []string{
		"", " ", "  ", "a", "a ", "A", "aa", "ab", "aB", "a\x01", "\x01", "\x7f", "z", "Z", "é", "e\u0301", "e", "ä", "ß", "ss",
		"-a", "a-b", "ab-", "中", "\ue000", "\U0001F600", "\U0010FFFF", "1", "10", "2",
	}
	timestampEdges = []string{
		"infinity", "-infinity", "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "2000-01-01",
		"1999-12-31 23:59:59.999999", "2000-01-01 00:00:00.000001", "0001-12-31 BC", "0001-01-01",
	}
	floatEdges = []string{"0", "-0", "NaN", "Infinity", "-Infinity", "1", "-1", "0.1", "-0.1"}
)

// pgTypes are all supported types.
var pgTypes = []pgType{
	{`int2`, []string{"0", "1", "-1", "32767", "-32768", "255", "256"}, randomInt(16)},
	{`int4`, []string{"0", "1", "-1", "2147483647", "-2147483648"}, randomInt(32)},
	{`int8`, []string{"0", "1", "-1", "9223372036854775807", "-9223372036854775808"}, randomInt(64)},
	{`oid`, []string{"0", "1", "2147483647", "2147483648", "4294967295"}, func(r *rand.Rand) string {
		return strconv.FormatUint(uint64(r.Uint32()>>r.IntN(32)), 10)
	}},
	{`xid8`, []string{"0", "1", "9223372036854775808", "18446744073709551615"}, func(r *rand.Rand) string {
		return strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
	}},
	{`bool`, []string{"true", "false"}, func(r *rand.Rand) string { return strconv.FormatBool(r.IntN(2) == 1) }},
	{`uuid`, []string{"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}, randomHex(16)},
	{`macaddr`, []string{"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "80:00:00:00:00:00", "00:00:00:80:00:00"}, randomHex(6)},
	{`macaddr8`, []string{"00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff", "00:00:00:00:80:00:00:00"}, randomHex(8)},
	{`pg_lsn`, []string{"0/0", "0/1", "1/0", "FFFFFFFF/FFFFFFFF", "80000000/0", "0/80000000"}, func(r *rand.Rand) string {
		return fmt.Sprintf("%X/%X", r.Uint32()>>r.IntN(32), r.Uint32())
	}},
	{`"char"`, []string{"", "a", "A", "~", "é", "中"}, func(r *rand.Rand) string { return string(rune(1 + r.IntN(300))) }},
	{`bytea`, []string{
		`\x`, `\x00`, `\x0000`, `\x0001`, `\x00ff`, `\x00ff00`, `\x01`, `\xff`, `\xff00`, `\xffff`, `\xfe`, `\x61`, `\x6100`, `\x6101`,
	}, randomBytea},
	{`text COLLATE "C"`, textEdges, randomText},
	{`text COLLATE "POSIX"`, textEdges, randomText},
	{`varchar(40) COLLATE "ucs_basic"`, textEdges, randomText},
	{`name`, textEdges, randomText},
	{`date`, []string{
		"infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "2000-01-01", "1999-12-31", "2000-02-29", "0001-12-31 BC",
	}, func(r *rand.Rand) string { return randomTime(r).Format("2006-01-02") }},
	{`time`, []string{"00:00", "24:00", "23:59:59.999999", "12:00", "00:00:00.000001"}, func(r *rand.Rand) string {
		return randomTime(r).Format("15:04:05.999999")
	}},
	{`timestamp`, timestampEdges, func(r *rand.Rand) string { return randomTime(r).Format("2006-01-02 15:04:05.999999") }},
	{`timestamptz`, append([]string{
		"2024-06-01 12:00+00", "2024-06-01 14:00+02", "2024-06-01 12:00+02", "2024-06-01 12:00-11",
	}, timestampEdges...), func(r *rand.Rand) string {
		return randomTime(r).Format("2006-01-02 15:04:05.999999") + fmt.Sprintf("%+03d", r.IntN(25)-12)
	}},
	{
		`float4`, append([]string{"1e-45", "-1e-45", "3.4028235e38", "-3.4028235e38", "16777216", "16777215"}, floatEdges...),
		func(r *rand.Rand) string {
			return strconv.FormatFloat(float64(math.Float32frombits(r.Uint32())), 'g', -1, 32)
		},
	},
	{`float8`, append([]string{
		"5e-324", "-5e-324", "1.7976931348623157e308", "-1.7976931348623157e308", "9007199254740993", "9007199254740992",
	}, floatEdges...), func(r *rand.Rand) string {
		return strconv.FormatFloat(math.Float64frombits(r.Uint64()), 'g', -1, 64)
	}},
	{`numeric`, []string{
		"0", "-0", "0.000", "1", "1.0", "1.00", "-1", "-1.0", "NaN", "Infinity", "-Infinity", "9999", "10000", "10001", "9999.9999",
		"0.0001", "0.00010", "0.00001", "-0.0001", "-0.00001", "1e131071", "-1e131071", "1e-16383", "-1e-16383", "123456789012345678",
		"10000000", "100000000", "1.5", "15", "150", "0.15", "-9999", "-10000", "-10000.0001", "655360000", "25600000001",
	}, randomDecimal},
}

func randomInt(bits int) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return strconv.FormatInt(int64(r.Uint64())>>(64-bits)>>r.IntN(bits), 10)
	}
}

// randomHex makes size bytes of which few are not zero.
func randomHex(size int) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		b := make([]byte, size)
		for range 1 + r.IntN(3) {
			b[r.IntN(size)] = byte(r.Uint32())
		}
		return hex.EncodeToString(b)
	}
}

func randomBytea(r *rand.Rand) string {
	b := make([]byte, r.IntN(6))
	for i := range b {
		b[i] = []byte{0, 0, 1, 2, 'a', 0xfe, 0xff, byte(r.Uint32())}[r.IntN(8)]
	}
	return `\x` + hex.EncodeToString(b)
}

func randomText(r *rand.Rand) string {
	alphabet := []rune("\x01\x1f aAbB-_zéÀ中\uffff\U0001F600")
	s := make([]rune, r.IntN(7))
	for i := range s {
		s[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(s)
}

// randomTime is in the years 1 to 9999.
func randomTime(r *rand.Rand) time.Time {
	first := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix()
	return time.Unix(first+r.Int64N(last-first), int64(r.IntN(1_000_000))*1000).UTC()
}

// randomDecimal has digits of few kinds, so that many numbers are close or equal.
func randomDecimal(r *rand.Rand) string {
	digits := func() string {
		var s strings.Builder
		for range r.IntN(12) {
			s.WriteByte("000019"[r.IntN(6)])
		}
		return s.String()
	}
	return []string{"", "-"}[r.IntN(2)] + "0" + digits() + "." + digits() + "0"
}
