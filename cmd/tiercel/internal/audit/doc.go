// Package audit keeps the audit log of a node, one JSON object a line (httpapi.Action), in
// audit/ of the data directory:
//
//	audit.log    management actions, refused ones too, what the node read again, and what
//	             takeover, recover and restore did to the directory
//	refused.log  other requests that were refused for who sent them, files included
//
// The newest lines are there; a full file becomes audit.log.1, and so on up to Keep, or
// KeepRefused. A file that somebody moves or removes is begun again at the next line.
//
// It owns the files and their size. An action is appended and made durable before it is
// answered. One whose line cannot be written is not undone and the next one is not refused:
// a full disk is when operators must act. Instead the line goes whole to the node's own log
// as an error, and /cluster/status warns until a line can be written again.
//
// Refusals are summed up, so that a flood of them is a line a minute and pushes nothing
// out; they are written a moment after they are answered, so that a flood does not wait for
// a disk, and the numbers that are not written yet are lost with a process that is killed.
//
// Read first: log.go, refusals.go (what is summed up), series.go (files).
package audit
