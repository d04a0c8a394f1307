// Package messages names everything that is said: the rows of the catalog
// (rows.proto), the commands of the log (commands.proto) and the messages
// between actors (actors.proto), with the few conversions they need.
//
// Messages are never changed after sending. Commands are imperative, events past
// tense, replies <Command>Reply. Read first: commands.proto.
package messages
