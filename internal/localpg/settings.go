package localpg

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// settings returns the server's settings: small, since the server serves one program. Commits are durable, as on a real
// server; tests switch that off by Options.
func (s *Server) settings(options map[string]string) map[string]string {
	all := map[string]string{
		"shared_buffers":  "64MB",
		"max_connections": "100",
		"max_wal_size":    "256MB",
		"jit":             "off", // compiling a query takes longer than any query of ours
	}
	maps.Copy(all, options)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	// These three make the server private, so options cannot change them.
	all["listen_addresses"] = ""
	all["unix_socket_directories"] = `"` + s.dir + `"` // quoted, for it is a list
	all["port"] = port
	return all
}

// configure appends the settings to the server's own file, where the last line of a name counts. There, unlike on the
// command line, ALTER SYSTEM can still override them.
func (s *Server) configure(options map[string]string) error {
	all := s.settings(options)
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(all[name])
		fmt.Fprintf(&lines, "%s = '%s'\n", name, value)
	}
	file, err := os.OpenFile(filepath.Join(s.dataDir(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("configure the server: %w", err)
	}
	_, err = file.WriteString(lines.String())
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("configure the server: %w", err)
	}
	return nil
}
