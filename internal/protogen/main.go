package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", ".", "root `directory` of the module")
	check := flag.Bool("check", false, "write nothing; fail when generated code is stale")
	flag.Parse()
	if err := run(context.Background(), *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, check bool) error {
	made, err := generate(ctx, root)
	if err != nil {
		return err
	}
	names, err := stale(root, made)
	if err != nil {
		return err
	}
	if check {
		if len(names) > 0 {
			return fmt.Errorf("stale: %s; run make proto", strings.Join(names, " "))
		}
		return nil
	}
	for _, name := range names {
		code, wanted := made[name]
		if !wanted {
			return fmt.Errorf("%s has no .proto file any more; remove it", name)
		}
		if err := os.WriteFile(filepath.Join(root, name), code, 0o644); err != nil {
			return fmt.Errorf("write generated code: %w", err)
		}
		fmt.Println("wrote", name)
	}
	return nil
}
