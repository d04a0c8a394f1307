// Package shortage says what a cluster cannot give with the workers that it has: fewer
// copies than a tier asks for, writes that wait, no other node that takes over. Its
// sentences are for operators; they stand among the warnings of /cluster/status and in the
// answer to whatever brings them about.
//
// It decides nothing, and is pure: rows come in, sentences go out. It asks cluster/license,
// cluster/tier and cluster/voters for their rules instead of repeating them, and imports
// cluster/model and messages besides. Read shortage.go.
package shortage
