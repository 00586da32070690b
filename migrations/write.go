package migrations

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// WriteFiles writes what Up and Install do as goose migrations in SQL into a folder, which it creates if need be, and
// returns the paths of the files that it wrote. Files that an earlier call wrote are left alone, and count: a call adds
// what has changed since, be it the schema (after an update of this package) or the tables, and writes nothing when nothing
// has. The tables are all that are to be followed from then on; triggers of tables that were in an earlier call's and are
// no longer are taken off. Going down restores what the files before it said.
//
// New files are numbered as those in the folder are: in sequence, or by time. The schema's record of its versions is
// written too, so that Up has nothing to do afterwards, and the files nothing where Up was called before. Tables are
// looked up by the search path that is in force when a file is applied, unless their names have a schema.
func WriteFiles(dir string, tables []Table) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // source code, which others may read
		return nil, fmt.Errorf("write migrations: %w", err)
	}
	folder, err := readFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("write migrations: %w", err)
	}
	files, err := pendingFiles(folder, tables)
	if err != nil {
		return nil, fmt.Errorf("write migrations: %w", err)
	}
	var written []string
	for _, f := range files {
		path := filepath.Join(dir, folder.nextNumber()+"_"+f.name)
		if err := writeNew(path, f.text); err != nil {
			return written, fmt.Errorf("write migrations: %w", err)
		}
		written = append(written, path)
	}
	return written, nil
}

// pendingFiles returns the files that a folder lacks, in order.
func pendingFiles(folder *folder, tables []Table) ([]versionFile, error) {
	var files []versionFile
	for _, v := range versionFiles() {
		if v.version > folder.version {
			files = append(files, schemaFile(v))
		}
	}
	change := tableChange{before: folder.tables, after: tables, all: len(files) > 0}
	if err := change.validate(); err != nil {
		return nil, err
	}
	if !change.empty() {
		text, err := change.file()
		if err != nil {
			return nil, err
		}
		files = append(files, versionFile{name: "socksync_triggers.sql", text: text})
	}
	return files, nil
}

// writeNew writes a file that does not exist yet.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as for the folder
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}

// tableChange leads from the tables of one call of WriteFiles to those of the next.
type tableChange struct {
	before, after []Table
	all           bool // the schema changes: install every table again, since its triggers may be outdated by that
}

// validate finds what would only come to light where the file is applied.
func (c *tableChange) validate() error {
	seen := make(map[string]bool)
	for _, t := range c.after {
		switch {
		case t.Name == "":
			return fmt.Errorf("a table has no name")
		case len(t.Key) == 0:
			return &TableError{Table: t, Reason: "it has no key columns"}
		case seen[t.Name]:
			return &TableError{Table: t, Reason: "it is given twice"}
		case len(t.Logged) > len(distinct(t.Logged)):
			return &TableError{Table: t, Reason: fmt.Sprintf("the logged columns %q name one twice", t.Logged)}
		}
		seen[t.Name] = true
	}
	return nil
}

// distinct returns the texts, each once.
func distinct(texts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(texts)))
}

func (c *tableChange) empty() bool {
	return len(c.installed()) == 0 && len(missingFrom(c.after, c.before)) == 0
}

// installed returns the tables that are new, or have another key or other logged columns.
func (c *tableChange) installed() []Table {
	if c.all {
		return c.after
	}
	return different(c.after, c.before)
}

// different returns the tables that others do not have with the same key and the same logged columns.
func different(tables, others []Table) []Table {
	return slices.DeleteFunc(slices.Clone(tables), func(t Table) bool {
		return slices.ContainsFunc(others, func(o Table) bool { return o.Name == t.Name && o.follows(&t) })
	})
}

// missingFrom returns the tables of others whose names are not among tables.
func missingFrom(tables, others []Table) []Table {
	return slices.DeleteFunc(slices.Clone(others), func(o Table) bool {
		return slices.ContainsFunc(tables, func(t Table) bool { return t.Name == o.Name })
	})
}
