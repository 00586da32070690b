package protocol_test

// oneRow is one change of one row, as a subscriber of one page sees it.
type oneRow struct {
	name, what string
	n          int // the list holds n rows: a, b, c and so on
	page, size int
	do         operation
	same       bool // all rows have the same value
}

// oneRows are the cases of change rule 3. Where nothing else is said the list
// has the rows a to h and the subscriber is at page 1 of size 3: d, e, f.
var oneRows = []oneRow{
	// Moves within the page.
	{name: "within-up", what: "a row moves up by one: the two swap", n: 8, page: 1, size: 3, do: moveTo(4, 3)},
	{name: "within-down", what: "a row moves down by one: the two swap", n: 8, page: 1, size: 3, do: moveTo(4, 5)},
	{name: "within-up-from-last", what: "the last row of the page moves up by one", n: 8, page: 1, size: 3, do: moveTo(5, 4)},
	{name: "within-down-from-first", what: "the first row of the page moves down by one", n: 8, page: 1, size: 3, do: moveTo(3, 4)},
	{name: "within-last-to-first", what: "the last row of the page becomes its first", n: 8, page: 1, size: 3, do: moveTo(5, 3)},
	{name: "within-first-to-last", what: "the first row of the page becomes its last", n: 8, page: 1, size: 3, do: moveTo(3, 5)},
	{name: "within-whole-list", what: "the first row of the list becomes its last, all on one page", n: 4, page: 0, size: 4, do: moveTo(0, 3)},
	{name: "within-far", what: "a row moves up over several on a page that is not full", n: 6, page: 0, size: 8, do: moveTo(4, 1)},
	{name: "within-short-page", what: "the two rows of the short last page swap", n: 8, page: 2, size: 3, do: moveTo(6, 7)},
	{name: "within-with-value", what: "a row moves within the page and changes its value: the insert carries it, there is no set", n: 8, page: 1, size: 3, do: changeTo(3, 5, `"D"`)},

	// Moves into the page.
	{name: "in-from-above-first", what: "a row from above becomes the first of the page: all shift up, so the first leaves", n: 8, page: 1, size: 3, do: moveTo(0, 3)},
	{name: "in-from-above-middle", what: "a row from above comes into the middle: the first leaves", n: 8, page: 1, size: 3, do: moveTo(0, 4)},
	{name: "in-from-above-last", what: "a row from above becomes the last of the page: the first leaves", n: 8, page: 1, size: 3, do: moveTo(1, 5)},
	{name: "in-from-above-neighbor", what: "the row just above swaps with the first of the page", n: 8, page: 1, size: 3, do: moveTo(2, 3)},
	{name: "in-from-below-first", what: "a row from below becomes the first of the page: the last leaves", n: 8, page: 1, size: 3, do: moveTo(7, 3)},
	{name: "in-from-below-middle", what: "a row from below comes into the middle: the last leaves", n: 8, page: 1, size: 3, do: moveTo(6, 4)},
	{name: "in-from-below-last", what: "a row from below becomes the last of the page: the last leaves", n: 8, page: 1, size: 3, do: moveTo(7, 5)},
	{name: "in-from-below-neighbor", what: "the row just below swaps with the last of the page", n: 8, page: 1, size: 3, do: moveTo(6, 5)},
	{name: "in-to-first-of-list", what: "a row from below becomes the first of the list", n: 8, page: 0, size: 3, do: moveTo(7, 0)},
	{name: "in-to-short-page", what: "a row from above becomes the last of the list: the first of the short page leaves", n: 8, page: 2, size: 3, do: moveTo(0, 7)},
	{name: "in-with-value", what: "a row comes into the page with another value", n: 8, page: 1, size: 3, do: changeTo(0, 4, `"A"`)},

	// Moves out of the page.
	{name: "out-above-from-first", what: "the first row leaves upwards: the row above takes its place", n: 8, page: 1, size: 3, do: moveTo(3, 0)},
	{name: "out-above-from-middle", what: "a row leaves upwards: the row above becomes the first", n: 8, page: 1, size: 3, do: moveTo(4, 0)},
	{name: "out-above-from-last", what: "the last row leaves upwards: the row above becomes the first", n: 8, page: 1, size: 3, do: moveTo(5, 1)},
	{name: "out-above-neighbor", what: "the first row swaps with the one just above", n: 8, page: 1, size: 3, do: moveTo(3, 2)},
	{name: "out-below-from-first", what: "the first row leaves downwards: the row below becomes the last", n: 8, page: 1, size: 3, do: moveTo(3, 7)},
	{name: "out-below-from-middle", what: "a row leaves downwards: the row below becomes the last", n: 8, page: 1, size: 3, do: moveTo(4, 6)},
	{name: "out-below-from-last", what: "the last row leaves downwards: the row below takes its place", n: 8, page: 1, size: 3, do: moveTo(5, 7)},
	{name: "out-below-neighbor", what: "the last row swaps with the one just below", n: 8, page: 1, size: 3, do: moveTo(5, 6)},
	{name: "out-of-first-page", what: "the first row of the list becomes its last", n: 8, page: 0, size: 3, do: moveTo(0, 7)},
	{name: "out-of-short-page", what: "a row of the short last page becomes the first of the list", n: 8, page: 2, size: 3, do: moveTo(7, 0)},
	{name: "out-with-value", what: "a row that leaves the page takes its new value with it", n: 8, page: 1, size: 3, do: changeTo(4, 0, `"E"`)},

	// Moves past the page.
	{name: "past-downwards", what: "a row from above the page goes below it: all shift up by one", n: 8, page: 1, size: 3, do: moveTo(0, 7)},
	{name: "past-upwards", what: "a row from below the page goes above it: all shift down by one", n: 8, page: 1, size: 3, do: moveTo(7, 0)},
	{name: "past-neighbors", what: "the row just above goes just below", n: 8, page: 1, size: 3, do: moveTo(2, 6)},
	{name: "past-with-value", what: "a row that passes the page does not show its value", n: 8, page: 1, size: 3, do: changeTo(7, 0, `"H"`)},
	{name: "above", what: "a row moves above the page: nothing", n: 8, page: 1, size: 3, do: moveTo(0, 2)},
	{name: "below", what: "a row moves below the page: nothing", n: 8, page: 1, size: 3, do: moveTo(7, 6)},
	{name: "move-nowhere", what: "a row is put back where it was: nothing", n: 8, page: 1, size: 3, do: moveTo(4, 4)},

	// Rows that come.
	{name: "insert-first", what: "a row comes at the first place of a full page", n: 8, page: 1, size: 3, do: insertAt(3)},
	{name: "insert-middle", what: "a row comes in the middle of a full page: the last is deleted first", n: 8, page: 1, size: 3, do: insertAt(4)},
	{name: "insert-last", what: "a row comes at the last place of a full page", n: 8, page: 1, size: 3, do: insertAt(5)},
	{name: "insert-just-below", what: "a row comes just below the page: only the total changes", n: 8, page: 1, size: 3, do: insertAt(6)},
	{name: "insert-below", what: "a row comes at the end of the list: only the total changes", n: 8, page: 1, size: 3, do: insertAt(8)},
	{name: "insert-above", what: "a row comes at the start of the list: all shift down by one", n: 8, page: 1, size: 3, do: insertAt(0)},
	{name: "insert-just-above", what: "a row comes just above the first row of the page, on the page before: it pushes that page's last here", n: 8, page: 1, size: 3, do: insertAt(2)},
	{name: "insert-short-end", what: "a row comes at the end of a short page: nothing is deleted", n: 8, page: 2, size: 3, do: insertAt(8)},
	{name: "insert-short-first", what: "a row comes at the first place of a short page", n: 8, page: 2, size: 3, do: insertAt(6)},
	{name: "insert-short-above", what: "a row comes above a short page: the page takes a row at its start and deletes none", n: 7, page: 2, size: 3, do: insertAt(0)},
	{name: "insert-after-full-last-page", what: "a row comes at the end of the list, whose last page is full: only the total changes there", n: 6, page: 1, size: 3, do: insertAt(6)},
	{name: "insert-into-empty-list", what: "the first row of the list", n: 0, page: 0, size: 3, do: insertAt(0)},
	{name: "insert-whole-list", what: "the page holds the whole list and has room", n: 3, page: 0, size: 5, do: insertAt(1)},

	// Rows that go.
	{name: "delete-first", what: "the first row of the page goes: the row below becomes the last", n: 8, page: 1, size: 3, do: deleteAt(3)},
	{name: "delete-middle", what: "a row of the page goes: the row below becomes the last", n: 8, page: 1, size: 3, do: deleteAt(4)},
	{name: "delete-last", what: "the last row of the page goes: the row below takes its place", n: 8, page: 1, size: 3, do: deleteAt(5)},
	{name: "delete-above", what: "a row above the page goes: all shift up by one", n: 8, page: 1, size: 3, do: deleteAt(0)},
	{name: "delete-just-above", what: "the row just above the page goes", n: 8, page: 1, size: 3, do: deleteAt(2)},
	{name: "delete-below", what: "a row below the page goes: only the total changes", n: 8, page: 1, size: 3, do: deleteAt(6)},
	{name: "delete-short", what: "a row of the short last page goes: nothing comes in its place", n: 8, page: 2, size: 3, do: deleteAt(6)},
	{name: "delete-short-above", what: "a row above the short last page goes: the page gives its first row away", n: 8, page: 2, size: 3, do: deleteAt(0)},
	{name: "delete-full-last-page", what: "a row of a full last page goes: nothing comes in its place", n: 6, page: 1, size: 3, do: deleteAt(4)},
	{name: "delete-full-last-page-above", what: "a row above a full last page goes", n: 6, page: 1, size: 3, do: deleteAt(0)},
	{name: "delete-only-row-of-page", what: "the only row of the last page goes: the page is empty, and stays", n: 7, page: 2, size: 3, do: deleteAt(6)},
	{name: "delete-above-only-row-of-page", what: "a row above goes: the only row of the last page moves to the page before", n: 7, page: 2, size: 3, do: deleteAt(3)},
	{name: "delete-only-row", what: "the only row of the list goes", n: 1, page: 0, size: 3, do: deleteAt(0)},

	// Pages past the end.
	{name: "past-end-insert", what: "a page just past the end takes a row that comes at the end", n: 6, page: 2, size: 3, do: insertAt(6)},
	{name: "past-end-insert-above", what: "a page just past the end takes the row that is pushed onto it", n: 6, page: 2, size: 3, do: insertAt(0)},
	{name: "past-end-far", what: "a page far past the end only gets the total", n: 6, page: 3, size: 3, do: insertAt(6)},
	{name: "past-end-delete", what: "a page past the end only gets the total", n: 6, page: 2, size: 3, do: deleteAt(5)},
	{name: "past-end-move", what: "a page past the end gets nothing of a move", n: 6, page: 2, size: 3, do: moveTo(0, 5)},
	{name: "past-end-set", what: "a page past the end gets nothing of a change of value", n: 6, page: 2, size: 3, do: setAt(5, `"F"`)},
	{name: "past-end-empty-list", what: "page 1 of an empty list only gets the total", n: 0, page: 1, size: 3, do: insertAt(0)},

	// Pages of one row.
	{name: "single-insert", what: "a page of one row: the new row takes the place of the old", n: 3, page: 1, size: 1, do: insertAt(1)},
	{name: "single-insert-above", what: "a page of one row: a row comes above", n: 3, page: 1, size: 1, do: insertAt(0)},
	{name: "single-insert-below", what: "a page of one row: a row comes just below", n: 3, page: 1, size: 1, do: insertAt(2)},
	{name: "single-delete", what: "a page of one row: the next takes the place of the one that goes", n: 3, page: 1, size: 1, do: deleteAt(1)},
	{name: "single-delete-last", what: "a page of one row: the last row of the list goes", n: 3, page: 2, size: 1, do: deleteAt(2)},
	{name: "single-out-above", what: "a page of one row: it swaps with the one above", n: 3, page: 1, size: 1, do: moveTo(1, 0)},
	{name: "single-out-below", what: "a page of one row: it swaps with the one below", n: 3, page: 1, size: 1, do: moveTo(1, 2)},
	{name: "single-in-from-above", what: "a page of one row: the one above swaps with it", n: 3, page: 1, size: 1, do: moveTo(0, 1)},
	{name: "single-in-from-below", what: "a page of one row: the one below swaps with it", n: 3, page: 1, size: 1, do: moveTo(2, 1)},
	{name: "single-past", what: "a page of one row: the one above goes below", n: 3, page: 1, size: 1, do: moveTo(0, 2)},
	{name: "single-set", what: "a page of one row: its value changes", n: 3, page: 1, size: 1, do: setAt(1, `"B"`)},

	// Values that change in place.
	{name: "set", what: "the value of a row of the page changes", n: 8, page: 1, size: 3, do: setAt(4, `{"e":[1,null]}`)},
	{name: "set-first", what: "the value of the first row of the page changes", n: 8, page: 1, size: 3, do: setAt(3, `"D"`)},
	{name: "set-last", what: "the value of the last row of the page changes", n: 8, page: 1, size: 3, do: setAt(5, `"F"`)},
	{name: "set-null", what: "a value becomes null", n: 8, page: 1, size: 3, do: setAt(4, `null`)},
	{name: "set-like-neighbor", what: "a value becomes that of the row beside it", n: 8, page: 1, size: 3, do: setAt(4, `"d"`)},
	{name: "set-to-the-same", what: "a row is written without a difference: nothing", n: 8, page: 1, size: 3, do: setAt(4, `"e"`)},
	{name: "set-above", what: "a value above the page changes: nothing", n: 8, page: 1, size: 3, do: setAt(2, `"C"`)},
	{name: "set-below", what: "a value below the page changes: nothing", n: 8, page: 1, size: 3, do: setAt(6, `"G"`)},
	{name: "set-short-page", what: "a value on the short last page changes", n: 8, page: 2, size: 3, do: setAt(7, `"H"`)},

	// Rows are told apart by their keys, not by their values.
	{name: "same-delete", what: "one of several equal values goes, another comes onto the page", n: 5, page: 0, size: 3, do: deleteAt(1), same: true},
	{name: "same-move-within", what: "a row moves among equal values", n: 5, page: 0, size: 3, do: moveTo(0, 2), same: true},
	{name: "same-move-out", what: "a row leaves, and one with the same value comes", n: 5, page: 0, size: 3, do: moveTo(1, 4), same: true},
	{name: "same-move-below", what: "a row moves among equal values below the page: nothing", n: 5, page: 0, size: 3, do: moveTo(3, 4), same: true},
	{name: "same-past", what: "a row passes the page, and all values stay the same", n: 5, page: 1, size: 2, do: moveTo(0, 4), same: true},
}
