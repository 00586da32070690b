package migrations

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// folder is what a folder of goose migrations holds already.
type folder struct {
	last    int64   // the highest number; 0: it is empty
	digits  int     // of the longest number
	version int64   // of the schema that the files lead to
	tables  []Table // that the files install
}

// Each file says in a line of its own what it leads to, so that the next call can go on from there.
const (
	schemaMark = "-- socksync schema: "
	tablesMark = "-- socksync tables: "
)

// readFolder reads the marks of the migrations in a folder.
func readFolder(dir string) (*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{digits: len("00001")}
	var latest int64 // the file that f.tables is from
	for _, entry := range entries {
		number, err := goose.NumericComponent(entry.Name())
		if err != nil || entry.IsDir() {
			continue // no migration
		}
		if number > f.last {
			f.last = number
		}
		f.digits = max(f.digits, strings.IndexByte(entry.Name(), '_'))
		if filepath.Ext(entry.Name()) != ".sql" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // the caller's own folder
		if err != nil {
			return nil, err
		}
		if err := f.readMarks(string(text), number, &latest); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
	}
	return f, nil
}

func (f *folder) readMarks(text string, number int64, latest *int64) error {
	for line := range strings.Lines(text) {
		if mark, ok := strings.CutPrefix(line, schemaMark); ok {
			var version int64
			if err := json.Unmarshal([]byte(mark), &version); err != nil {
				return fmt.Errorf("read its mark: %w", err)
			}
			f.version = max(f.version, version)
		}
		if mark, ok := strings.CutPrefix(line, tablesMark); ok && number >= *latest {
			var tables []Table
			if err := json.Unmarshal([]byte(mark), &tables); err != nil {
				return fmt.Errorf("read its mark: %w", err)
			}
			f.tables, *latest = tables, number
		}
	}
	return nil
}

// timeFormat is how goose numbers files by time.
const timeFormat = "20060102150405"

// nextNumber returns the number of the next file, and counts it.
func (f *folder) nextNumber() string {
	if f.digits < len(timeFormat) {
		f.last++
		return fmt.Sprintf("%0*d", f.digits, f.last)
	}
	now, err := strconv.ParseInt(time.Now().UTC().Format(timeFormat), 10, 64)
	if err != nil {
		panic(err) // the format has digits only
	}
	f.last = max(f.last+1, now)
	return fmt.Sprintf("%0*d", f.digits, f.last)
}
