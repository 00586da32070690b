package migrations

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

// versionFile is one version of the schema: a file in goose's format.
type versionFile struct {
	version int64
	name    string // without the number: change_log.sql
	text    string
}

// versionFiles returns the embedded versions in ascending order. The files are part of the program, so that a mistake in
// one of them is a mistake of the program.
func versionFiles() []versionFile {
	entries, err := fs.ReadDir(embedded, "sql/versions")
	if err != nil {
		panic(err)
	}
	files := make([]versionFile, 0, len(entries))
	for _, entry := range entries {
		version, err := goose.NumericComponent(entry.Name())
		if err != nil {
			panic(err)
		}
		text, err := embedded.ReadFile("sql/versions/" + entry.Name())
		if err != nil {
			panic(err)
		}
		files = append(files, versionFile{version: version, name: entry.Name()[len("00000_"):], text: string(text)})
	}
	return files
}

// latestVersion is the version that Up leads to.
func latestVersion() int64 {
	files := versionFiles()
	return files[len(files)-1].version
}

// schemaVersion returns the version that the database is at; 0 when there is no schema.
func schemaVersion(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	exists, err := hasVersionTable(ctx, pool)
	if err != nil || !exists {
		return 0, err
	}
	var version int64
	const query = "select coalesce(pg_catalog.max(version_id), 0) from " + versionTable + " where is_applied"
	if err := pool.QueryRow(ctx, query).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the version of schema socksync: %w", explain(err))
	}
	return version, nil
}

func hasVersionTable(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var exists bool
	const query = "select pg_catalog.to_regclass('" + versionTable + "') is not null"
	if err := pool.QueryRow(ctx, query).Scan(&exists); err != nil {
		return false, fmt.Errorf("look for schema socksync: %w", explain(err))
	}
	return exists, nil
}

// requireSchema returns an error that wraps ErrNoSchema unless the schema is at the version of this package, or later.
func requireSchema(ctx context.Context, pool *pgxpool.Pool) error {
	version, err := schemaVersion(ctx, pool)
	if err == nil && version < latestVersion() {
		return fmt.Errorf("%w: it is at version %d of %d", ErrNoSchema, version, latestVersion())
	}
	return err
}

// hasInstaller reports whether the functions that install and uninstall are there.
func hasInstaller(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	const installerVersion = 3
	version, err := schemaVersion(ctx, pool)
	return version >= installerVersion, err
}
