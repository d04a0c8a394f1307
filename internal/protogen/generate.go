package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// sources lists the .proto files of the module at root, as paths relative to it, sorted.
func sources(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "messages", "*.proto"))
	if err != nil {
		return nil, fmt.Errorf("find .proto files in %s: %w", root, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no messages/*.proto under %s: run it in the root of the module", root)
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = "messages/" + filepath.Base(f)
	}
	sort.Strings(names)
	return names, nil
}

// generate compiles every .proto file of the module at root and returns what
// each .pb.go should hold, by its path relative to root.
func generate(ctx context.Context, root string) (map[string][]byte, error) {
	names, err := sources(root)
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments go into the .pb.go
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile the .proto files: %w", err)
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("module=tiercel"),
	}
	seen := make(map[string]bool)
	for _, f := range files {
		request.ProtoFile = appendWithImports(request.ProtoFile, f, seen)
	}
	return runPlugin(ctx, root, request)
}

// appendWithImports adds f after everything it imports, as plugins expect.
func appendWithImports(list []*descriptorpb.FileDescriptorProto, f protoreflect.FileDescriptor,
	seen map[string]bool,
) []*descriptorpb.FileDescriptorProto {
	if seen[f.Path()] {
		return list
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		list = appendWithImports(list, imports.Get(i).FileDescriptor, seen)
	}
	return append(list, protodesc.ToFileDescriptorProto(f))
}

// runPlugin hands the request to the module's own protoc-gen-go.
func runPlugin(ctx context.Context, root string, request *pluginpb.CodeGeneratorRequest) (map[string][]byte, error) {
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode the request to protoc-gen-go: %w", err)
	}
	var output, problems bytes.Buffer
	plugin := exec.CommandContext(ctx, "go", "tool", "protoc-gen-go")
	plugin.Dir, plugin.Stdin, plugin.Stdout, plugin.Stderr = root, bytes.NewReader(input), &output, &problems
	if err := plugin.Run(); err != nil {
		return nil, fmt.Errorf("run go tool protoc-gen-go: %w: %s", err, problems.String())
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output.Bytes(), &response); err != nil {
		return nil, fmt.Errorf("decode the answer of protoc-gen-go: %w", err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("protoc-gen-go refuses: %s", response.GetError())
	}
	made := make(map[string][]byte, len(response.File))
	for _, f := range response.File {
		made[f.GetName()] = []byte(f.GetContent())
	}
	return made, nil
}

// stale names, sorted, each .pb.go under root that is missing, differs from
// made, or has no .proto file any more.
func stale(root string, made map[string][]byte) ([]string, error) {
	var names []string
	for name, want := range made {
		have, err := os.ReadFile(filepath.Join(root, name))
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("read generated code: %w", err)
		}
		if err != nil || !bytes.Equal(withoutVersions(have), withoutVersions(want)) {
			names = append(names, name)
		}
	}
	present, err := filepath.Glob(filepath.Join(root, "messages", "*.pb.go"))
	if err != nil {
		return nil, fmt.Errorf("find generated code: %w", err)
	}
	for _, f := range present {
		name := "messages/" + filepath.Base(f)
		if _, wanted := made[name]; !wanted {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}

// withoutVersions drops the header lines in which the generators name themselves.
func withoutVersions(code []byte) []byte {
	var kept []string
	for line := range strings.SplitSeq(string(code), "\n") {
		if strings.HasPrefix(line, "// \tprotoc") {
			continue
		}
		kept = append(kept, line)
	}
	return []byte(strings.Join(kept, "\n"))
}
