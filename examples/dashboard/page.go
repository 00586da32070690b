package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/socksync/socksync/server"
)

//go:embed page
var pageFiles embed.FS

// routes serves the page, the WebSocket, and whether the server is ready.
func routes(live *server.Server) http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(files))
	mux.Handle("/ws/socksync/", live)
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := live.Ready(); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	return mux
}
