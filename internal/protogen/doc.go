// Command protogen compiles messages/*.proto into the .pb.go files beside
// them. It needs nothing but Go: the .proto files are compiled in process, and
// the plugin is the protoc-gen-go that go.mod names as a tool.
//
//	go run ./internal/protogen          rewrites messages/*.pb.go (`make proto`)
//	go run ./internal/protogen -check   changes nothing; status 1 and the names when one is stale
//
// It refuses to write anything when one of the .proto files does not compile.
// The package's test is the check, so a stale .pb.go fails `make test`. Lines
// that name compiler versions are not compared: protoc and protogen make the
// same code from the same file.
//
// Read first: generate.go.
package main
