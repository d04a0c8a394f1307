// Command tiercel is the one binary of Tiercel: the server and its command
// line. It owns flags, environment, configuration, signals, output and exit
// statuses, and wires the rest together; it decides nothing about data.
//
// Exit status: 0 done, 1 failed, 2 wrong usage. Results go to standard output,
// everything else to standard error, a failure in the form of --output (failure.go).
//
// Read first: main.go, root.go, then one file per verb; server.go starts a node.
package main
