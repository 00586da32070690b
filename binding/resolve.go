package binding

import "slices"

// resolveJSON leaves each JSON name to the one field that encoding/json
// publishes under it: the least deeply embedded. Two at the same depth are a
// mistake, whichever of them encoding/json would take.
func resolveJSON(members []member, src *source) {
	groups := groupBy(members, func(m member) string { return m.json })
	for _, group := range groups {
		top := shallowest(members, group)
		if len(top) > 1 {
			reportSame(members, top, src, "JSON name "+members[top[0]].json)
		}
		for _, i := range group {
			if i != top[0] {
				members[i].json = ""
			}
		}
	}
}

// resolveColumns returns the members that are columns, in the order of the
// fields: of several with one name the least deeply embedded.
func resolveColumns(members []member, src *source) []member {
	keep := map[int]bool{}
	for _, group := range groupBy(members, func(m member) string { return m.column }) {
		top := shallowest(members, group)
		if len(top) > 1 {
			reportSame(members, top, src, "column "+members[top[0]].column)
		}
		keep[top[0]] = true
	}
	var columns []member
	for i, m := range members {
		if keep[i] {
			columns = append(columns, m)
		}
	}
	return columns
}

// reportSame reports all but the first of fields at one depth that have the
// same name, if a column is among them.
func reportSame(members []member, fields []int, src *source, what string) {
	isColumn := func(i int) bool { return members[i].column != "" }
	if !slices.ContainsFunc(fields, isColumn) {
		return
	}
	for _, i := range fields[1:] {
		src.fail(keyColumns, members[i].at, "duplicate %s, also of field %s", what, members[fields[0]].at.field)
	}
}

// groupBy returns the indexes of the members by name, in the order in which
// the names come first. Members without a name are left out.
func groupBy(members []member, name func(member) string) [][]int {
	var groups [][]int
	place := map[string]int{}
	for i, m := range members {
		n := name(m)
		if n == "" {
			continue
		}
		g, ok := place[n]
		if !ok {
			g = len(groups)
			place[n] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// shallowest returns those of the group that are least deeply embedded.
func shallowest(members []member, group []int) []int {
	depth := len(members[group[0]].index)
	for _, i := range group {
		depth = min(depth, len(members[i].index))
	}
	return slices.DeleteFunc(slices.Clone(group), func(i int) bool { return len(members[i].index) > depth })
}
