package binding

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// plan is what the tags of a struct say. It is made once for each definition.
type plan struct {
	row      reflect.Type // nil when T is not a struct
	columns  []Column
	key      []string
	tagged   []taggedColumn
	settings settings
	src      *source
}

// member is one field of the struct that is a column, or published, or both.
type member struct {
	at     place
	index  []int
	typ    reflect.Type
	column string // empty: not a column
	json   string // empty: hidden
	named  bool   // the JSON name is from a tag
	tag    fieldTag
}

// scope is what the embedded structs around a field do to it.
type scope struct {
	index  []int
	prefix string
	types  []reflect.Type // the way here, to stop where a type embeds itself
	hidden bool           // an outer json:"-"
	nested bool           // an outer JSON name: published within an object
	sealed bool           // below an embedded pointer that cannot be set
}

// walker goes through the fields of one struct.
type walker struct {
	src      *source
	settings settings
	members  []member
	blank    bool // the blank field with the tag was seen
}

// planOf reads the tags of t. Mistakes go to the plan's source.
func planOf(t reflect.Type) *plan {
	p := &plan{src: newSource(t.String()), settings: settings{}}
	if t.Kind() != reflect.Struct {
		p.src.fail(keyColumns, place{structName: t.String()}, "%v is not a struct", t)
		p.src.unusable = true
		return p
	}
	w := &walker{src: p.src, settings: settings{}}
	w.walk(t, scope{})
	p.row, p.settings = t, w.settings
	resolveJSON(w.members, p.src)
	for _, m := range resolveColumns(w.members, p.src) {
		p.columns = append(p.columns, Column{Name: m.column, JSON: m.json, Field: m.index, Type: m.typ})
		p.src.columns[m.column] = m.at
		p.tagged = append(p.tagged, taggedColumn{m.column, m.tag})
		if m.tag.pk {
			p.key = append(p.key, m.column)
		}
	}
	return p
}

func (w *walker) walk(t reflect.Type, sc scope) {
	if slices.Contains(sc.types, t) {
		return
	}
	sc.types = append(slices.Clone(sc.types), t)
	for i := range t.NumField() {
		f := t.Field(i)
		at := place{structName: w.src.structName, field: sc.prefix + f.Name, tag: string(f.Tag)}
		checkTagText(f.Tag, at, w.src)
		inner := sc
		inner.index = append(slices.Clone(sc.index), i)
		switch {
		case f.Name == "_":
			if len(sc.index) == 0 {
				w.blankField(f, at)
			}
		case isFlattened(f):
			w.embedded(f, at, inner)
		case !f.IsExported():
			w.unexported(f, at)
		default:
			w.field(f, at, inner)
		}
	}
}

// blankField reads what holds for the whole struct.
func (w *walker) blankField(f reflect.StructField, at place) {
	for _, name := range []string{"db", "json"} {
		if _, ok := f.Tag.Lookup(name); ok {
			w.src.fail(keyColumns, at, "misplaced tag key %s: a blank field is not a column", name)
		}
	}
	tag, ok := f.Tag.Lookup("socksync")
	if !ok {
		return
	}
	if w.blank {
		w.src.fail(keyTable, at, "repeated blank field with a socksync tag")
		return
	}
	w.blank = true
	if f.Type != reflect.TypeFor[struct{}]() {
		w.src.fail(keyTable, at, "the blank field has type %v, want struct{}", f.Type)
	}
	w.settings = parseStructTag(tag, at, w.src)
	for k, s := range w.settings {
		w.src.places[k] = s.at
	}
}

// isFlattened reports whether f is an embedded struct that is not a column.
func isFlattened(f reflect.StructField) bool {
	db, ok := f.Tag.Lookup("db")
	return f.Anonymous && structBelow(f.Type) != nil && (!ok || db == "-")
}

// structBelow returns t or what it points to when that is a struct, else nil.
func structBelow(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

func (w *walker) embedded(f reflect.StructField, at place, sc scope) {
	if _, ok := f.Tag.Lookup("socksync"); ok {
		w.src.fail(keyPK, at, "misplaced socksync tag: an embedded struct without db is not a column")
	}
	name, hide := w.jsonName(f, at)
	if name != "" && !sc.nested {
		w.members = append(w.members, member{at: at, index: sc.index, typ: f.Type, json: hiddenIn(sc, name), named: true})
	}
	sc.prefix = at.field + "."
	sc.hidden = sc.hidden || hide
	sc.nested = sc.nested || name != ""
	sc.sealed = sc.sealed || f.Type.Kind() == reflect.Pointer && !f.IsExported()
	w.walk(structBelow(f.Type), sc)
}

// hiddenIn is the JSON name of a field in its scope.
func hiddenIn(sc scope, name string) string {
	if sc.hidden {
		return ""
	}
	return name
}

// unexported refuses tags on fields that nothing can set.
func (w *walker) unexported(f reflect.StructField, at place) {
	for _, name := range []string{"db", "json", "socksync"} {
		if value, ok := f.Tag.Lookup(name); ok && value != "-" {
			w.src.fail(keyColumns, at, "the field is unexported and has a tag %s", name)
			if name == "socksync" {
				w.src.failed[keyPK] = true
			}
			return
		}
	}
}

// field adds an exported field.
func (w *walker) field(f reflect.StructField, at place, sc scope) {
	m := member{at: at, index: sc.index, typ: f.Type, column: w.columnName(f, at)}
	if tag, ok := f.Tag.Lookup("socksync"); ok {
		m.tag = parseFieldTag(tag, at, w.src)
	}
	name, hide := w.jsonName(f, at)
	m.named = name != ""
	if name == "" && !hide {
		name = f.Name
	}
	m.json = hiddenIn(sc, name)
	if problem := checkMember(m, f, sc); problem != "" {
		w.src.fail(keyColumns, at, "%s", problem)
		if m.tag.pk {
			w.src.failed[keyPK] = true
		}
		return
	}
	if !sc.nested {
		w.members = append(w.members, m)
	}
}

// checkMember says why the field cannot be what its tags say, or nothing.
func checkMember(m member, f reflect.StructField, sc scope) string {
	switch {
	case m.column == "" && m.tag.first() != "":
		return fmt.Sprintf("misplaced key %s: a field without db is not a column", m.tag.first())
	case m.column == "":
		return ""
	case sc.nested:
		return "a column inside an embedded struct that has a JSON name"
	case sc.sealed:
		return "a column below an embedded pointer to an unexported struct, which cannot be set"
	case f.Anonymous && structBelow(f.Type) != nil && m.json != "" && !m.named:
		return "an embedded struct that is a column needs a JSON name"
	}
	return cannotHold(f.Type)
}

// columnName returns the column that the db tag names, or nothing.
func (w *walker) columnName(f reflect.StructField, at place) string {
	name, ok := f.Tag.Lookup("db")
	if !ok || name == "-" {
		return ""
	}
	if err := checkIdent(name); err != nil {
		w.src.fail(keyColumns, at, "db: %v", err)
		return ""
	}
	if strings.Contains(name, ",") {
		w.src.fail(keyColumns, at, "db: %q holds a comma; db has no options", name)
		return ""
	}
	return name
}

// jsonName returns the name in the json tag, if there is one, and whether the
// tag hides the field.
func (w *walker) jsonName(f reflect.StructField, at place) (name string, hide bool) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return "", true
	}
	name, _, _ = strings.Cut(tag, ",")
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) {
			w.src.fail(keyColumns, at, "json: encoding/json does not accept %q in a name", r)
			return "", false
		}
	}
	return name, false
}
