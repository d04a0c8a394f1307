package tokens

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
)

// Add appends a token to a file, which is made when it is not there. What the file said,
// comments too, stays. The result is checked before it is written.
func Add(path string, e access.Entry) error {
	const op = "add a token"
	l := line{Name: e.Name, Role: e.Role, Tenant: e.Tenant, Cluster: e.Cluster, SHA256: e.Hash.String()}
	if !e.Expires.IsZero() {
		l.Expires = e.Expires.UTC().Format(time.RFC3339)
	}
	return edit(op, path, true, func(list *yaml.Node) error {
		if named(list, e.Name) >= 0 {
			return model.Errorf(model.CodeConflict, op,
				"%s has a token %q already; give the new one another name, or replace it: 'tiercel token revoke %s --file %s', then this again", path, e.Name, e.Name, path)
		}
		var made yaml.Node
		if err := made.Encode(l); err != nil {
			return err
		}
		list.Style = 0 // a list written as [] grows downwards
		list.Content = append(list.Content, &made)
		return nil
	})
}

// Remove takes the token of a name out; not_found when there is none.
func Remove(path, name string) error {
	const op = "revoke a token"
	return edit(op, path, false, func(list *yaml.Node) error {
		if i := named(list, name); i >= 0 {
			list.Content = append(list.Content[:i:i], list.Content[i+1:]...)
			return nil
		}
		return model.Errorf(model.CodeNotFound, op, "there is no token %q in %s; 'tiercel token list --file %s' shows them", name, path, path)
	})
}

// named finds the token of a name; -1: there is none.
func named(list *yaml.Node, name string) int {
	return slices.IndexFunc(list.Content, func(item *yaml.Node) bool {
		var l line
		return item.Decode(&l) == nil && l.Name == name
	})
}

// edit changes the list of a file that is valid, into one that is valid. One edit at a
// time: what is written is made of what was read, and another edit between the two would
// be lost, a revoked token be back. Of a link, the file behind it is edited.
func edit(op, path string, create bool, change func(list *yaml.Node) error) error {
	path, err := behind(path)
	if err != nil {
		return model.Errorf(model.CodeUnavailable, op, "the token file cannot be found: %w", err)
	}
	unlock, err := lock(path)
	if err != nil {
		return model.Errorf(model.CodeUnavailable, op, "%s cannot be locked against other edits: %w", path, err)
	}
	defer unlock()
	return editLocked(op, path, create, change)
}

func editLocked(op, path string, create bool, change func(list *yaml.Node) error) error {
	text, err := os.ReadFile(path)
	mode := os.FileMode(0o600)
	switch {
	case errors.Is(err, os.ErrNotExist) && create:
		text = []byte("# Bearer tokens of Tiercel, by their hashes: see 'tiercel token --help'.\ntokens: []\n")
	case err != nil:
		return model.Errorf(model.CodeUnavailable, op, "the token file cannot be read: %w", err)
	default:
		if _, err := Read(path); err != nil {
			return model.Errorf(model.CodeInvalidArgument, op, "the file is not changed before it is right: %w", err)
		}
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return model.Errorf(model.CodeInvalidArgument, op, "%s is no YAML: %w", path, err)
	}
	list := listOf(&doc)
	if list == nil {
		return model.Errorf(model.CodeInvalidArgument, op, "%s has no list \"tokens\"; begin it with \"tokens: []\"", path)
	}
	if err := change(list); err != nil {
		return err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return model.Errorf(model.CodeInternal, op, "the file cannot be encoded: %w", err)
	}
	if _, problems := decode(out.Bytes()); len(problems) > 0 {
		return model.Errorf(model.CodeInvalidArgument, op, "%w", &Problems{path, problems})
	}
	if err := replace(path, out.Bytes(), mode); err != nil {
		return model.Errorf(model.CodeUnavailable, op, "%s cannot be written: %w", path, err)
	}
	return nil
}

// listOf finds the sequence below "tokens".
func listOf(doc *yaml.Node) *yaml.Node {
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "tokens" && root.Content[i+1].Kind == yaml.SequenceNode {
			return root.Content[i+1]
		}
	}
	return nil
}

// replace swaps a file for another in one step: a server reads the old or the new one.
func replace(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	err = f.Chmod(mode)
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new name durable: a token that was revoked stays so after a crash.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
