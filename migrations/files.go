package migrations

import (
	"encoding/json"
	"fmt"
	"strings"
)

const header = `-- Written by WriteFiles of github.com/socksync/socksync/migrations. The line that follows is read by the next call.
`

// schemaFile is a version of the schema as a file for the user's own migrations. It does nothing in a database where that
// version is recorded, because Up was called there.
func schemaFile(v versionFile) versionFile {
	up, down := split(v.text)
	first := ""
	last := fmt.Sprintf("delete from %s where version_id = %d;", versionTable, v.version)
	if v.version == 1 {
		text, err := embedded.ReadFile("sql/versions.sql")
		if err != nil {
			panic(err) // part of the program
		}
		first = statement(string(text))
		last = "drop table " + versionTable + ";\ndrop schema socksync;"
	}
	var b strings.Builder
	b.WriteString(header)
	fmt.Fprintf(&b, "%s%d\n\n-- +goose Up\n\n%s", schemaMark, v.version, first)
	b.WriteString(statement(fmt.Sprintf(`do $recorded$
begin
if not exists (select from %[1]s where version_id = %[2]d and is_applied) then
execute $migration$
%[3]s
$migration$;
insert into %[1]s (version_id, is_applied) values (%[2]d, true);
end if;
end $recorded$;`, versionTable, v.version, up)))
	fmt.Fprintf(&b, "\n-- +goose Down\n\n%s%s", statement(down), statement(last))
	return versionFile{name: "socksync_" + v.name, text: b.String()}
}

// split returns the two directions of an embedded file, without goose's annotations.
func split(text string) (up, down string) {
	part := &up
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "-- +goose Up"):
		case strings.HasPrefix(line, "-- +goose Down"):
			part = &down
		case strings.HasPrefix(line, "-- +goose Statement"):
		default:
			*part += line
		}
	}
	return strings.TrimSpace(up), strings.TrimSpace(down)
}

// statement is SQL that goose sends as one.
func statement(sql string) string {
	return "-- +goose StatementBegin\n" + strings.TrimSpace(sql) + "\n-- +goose StatementEnd\n"
}

// file is the change as a migration.
func (c *tableChange) file() (string, error) {
	mark, err := json.Marshal(c.after)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s%s\n\n-- +goose Up\n\n", header, tablesMark, mark)
	for _, t := range missingFrom(c.after, c.before) {
		b.WriteString(uninstallStatement(t))
	}
	for _, t := range c.installed() {
		b.WriteString(installStatement(t))
	}
	b.WriteString("\n-- +goose Down\n\n")
	for _, t := range missingFrom(c.before, c.after) {
		b.WriteString(uninstallStatement(t))
	}
	for _, t := range different(c.before, c.after) {
		b.WriteString(installStatement(t))
	}
	return b.String(), nil
}

func installStatement(t Table) string {
	logged := "'{}'"
	if len(t.Logged) > 0 {
		logged = array(t.Logged)
	}
	return statement(fmt.Sprintf("select socksync.install(%s, %s, %s);", quote(t.Name), array(t.Key), logged))
}

// array makes an array of literals.
func array(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return "array[" + strings.Join(quoted, ", ") + "]"
}

// uninstallStatement passes over a table that is gone.
func uninstallStatement(t Table) string {
	return statement(fmt.Sprintf("select socksync.uninstall(pg_catalog.to_regclass(%s));", quote(t.Name)))
}

// quote makes a literal of SQL.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
