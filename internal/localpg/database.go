package localpg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// DatabaseOption says how CreateDatabase makes a database.
type DatabaseOption func(*databaseOptions)

type databaseOptions struct {
	icuLocale string
}

// ICU gives a database a collation of the ICU library by default, such as "en-US". PostgreSQL 15 or newer.
func ICU(locale string) DatabaseOption {
	return func(o *databaseOptions) { o.icuLocale = locale }
}

// CreateDatabase makes an empty database in the cluster's locale, C.UTF-8 unless Config said otherwise.
func (s *Server) CreateDatabase(ctx context.Context, name string, opts ...DatabaseOption) error {
	var o databaseOptions
	for _, opt := range opts {
		opt(&o)
	}
	sql := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " TEMPLATE template0"
	if o.icuLocale != "" {
		sql += " LOCALE_PROVIDER icu ICU_LOCALE '" + strings.ReplaceAll(o.icuLocale, "'", "''") + "'"
	}
	if err := s.exec(ctx, sql); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// DropDatabase removes a database and ends its connections. It does nothing when there is no such database.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	err := s.exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	if err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// exec runs one statement on a connection of its own.
func (s *Server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL(""))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return errors.Join(err, conn.Close(ctx))
}
