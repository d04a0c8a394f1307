// Package compaction chooses the sealed volumes that are given up (DESIGN
// "Compaction"): those that nothing names any more, those of which too much is
// dead, small ones that together make one, and those whose every copy is damaged, of
// which what can be read is saved. What is chosen is retired, emptied
// and dropped by the master's compactor.
//
// It keeps nothing: the same rows and settings give the same choice. It refuses
// volumes that could not be emptied, each with its reason. Imports messages only.
//
// Invariants: never more than MaxRetiring volumes with content, nor MaxRetiringBytes
// of it, are on their way out at once, beside MaxSalvage damaged ones; a volume of which
// nobody knows yet whether it has a good copy, or with a lost range, is chosen only when
// nothing names it.
package compaction
