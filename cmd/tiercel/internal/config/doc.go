// Package config turns the flags of `tiercel server`, the TIERCEL_*
// environment and a YAML file into one checked Server. A flag wins over the
// environment, the environment over the file, the file over the default.
//
// It refuses what it does not know and reports every problem at once, each
// with where the value came from and, for an unknown name, the nearest known
// one: a node must not start with a setting that its operator believes is in
// force and is not.
//
// Read first: settings.go (the one table of settings), load.go (layers),
// effective.go (what is in force and why), example.go (a commented file).
package config
