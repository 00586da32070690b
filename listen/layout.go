package listen

import "slices"

// layout says how the triggers write a row of a table to the log: the texts of its key, and behind them one text for each
// logged column. Another process may have the triggers log more than this feed wants, or in another order.
type layout struct {
	ok    bool  // false: the triggers do not log all that is wanted, and nothing fits
	key   int   // texts of the key; 0: keys are of no use
	width int   // texts of a row
	picks []int // where the columns of Table.Logged are among them
}

// layoutOf returns the layout of a table by what the catalog says of its triggers. A column is not logged any more when
// another one has taken its name.
func layoutOf(t *Table, p *fingerprint) layout {
	l := layout{ok: true, key: len(t.Key), width: len(t.Key) + len(p.logged)}
	for _, column := range t.Logged {
		i := slices.Index(p.logged, column)
		if i < 0 || !slices.Contains(p.watched, column) {
			return layout{}
		}
		l.picks = append(l.picks, len(t.Key)+i)
	}
	return l
}

// fits reports whether rows of the log are as the layout says.
func (l *layout) fits(flat []string, width int) bool {
	return l.ok && l.key > 0 && width == l.width && len(flat)%width == 0
}

// A value is logged as isValue and its text, or as isNull.
const (
	isValue = '='
	isNull  = "-"
)

// pick appends the wanted values of a row, as they are in the log. It returns false if one of them is none.
func (l *layout) pick(dst, row []string) ([]string, bool) {
	for _, i := range l.picks {
		text := row[i]
		if text != isNull && (text == "" || text[0] != isValue) {
			return dst, false
		}
		dst = append(dst, text)
	}
	return dst, true
}

// values returns what was picked as values, of which nil is NULL.
func values(picked []string) []*string {
	list, texts := make([]*string, len(picked)), make([]string, len(picked))
	for i, text := range picked {
		if text != isNull {
			texts[i] = text[1:]
			list[i] = &texts[i]
		}
	}
	return list
}

// repaired returns the table as its triggers are to be. What they log for other processes stays, as far as it is there: if
// each took the other's columns away there would be no end to it.
func (t *table) repaired() Table {
	wanted := t.Table
	kept := slices.DeleteFunc(slices.Clone(t.print.logged), func(c string) bool { return !slices.Contains(t.print.columns, c) })
	lacks := slices.ContainsFunc(t.Logged, func(c string) bool { return !slices.Contains(kept, c) })
	if !lacks {
		wanted.Logged = kept
		return wanted
	}
	all := slices.Concat(kept, t.Logged)
	slices.Sort(all)
	wanted.Logged = slices.Compact(all)
	return wanted
}
