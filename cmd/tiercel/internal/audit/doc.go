// Package audit keeps the log of management actions: one JSON object a line (httpapi.Action),
// appended and made durable before the next one, in audit/ of the data directory. The
// newest lines are in audit.log; a full file becomes audit.log.1, and so on up to Keep.
//
// A file that somebody moves or removes is begun again at the next line.
//
// It owns the files and their size. An action whose line cannot be written is not undone
// and the next one is not refused: a full disk is when operators must act. Instead the
// line goes whole to the node's own log as an error, and /cluster/status warns until a
// line can be written again.
//
// Read first: log.go.
package audit
