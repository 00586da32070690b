// Package socksync binds Postgres tables to live web pages: a struct's tags declare
// a list, and any number of browsers see its rows page by page, with the exact
// total, and get exactly the rows that each commit moved.
//
// The main flow, package by package, is the way of a change:
//
//	migrations       change log: triggers write which keys a transaction touched
//	listen           feed: the difference between two snapshots, read in one transaction
//	store/view       view: which rows are in the list now, and at which place
//	internal/window  window, step: what that changes on each page that is watched
//	internal/peer    subscriptions: who gets which step, and what a slow one gets instead
//	internal/wsconn  connection: frames, pings, closing
//
// Around it: binding defines lists, vars and functions; store reads and writes rows
// by the same tags; memory holds items without a database; server puts everything
// together; client is the other end; protocol is the wire.
//
// This package itself is empty. Start with package server.
package socksync
