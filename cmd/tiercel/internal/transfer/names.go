package transfer

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"tiercel/cluster/model"
)

// ErrUsage marks a request that cannot be meant, as opposed to one that failed.
var ErrUsage = errors.New("wrong usage")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUsage}, args...)...)
}

// ownName is the name under which a local source arrives in a directory, or ""
// when only its contents are meant.
func ownName(source string) string {
	if strings.HasSuffix(source, "/") {
		return ""
	}
	switch name := filepath.Base(source); name {
	case ".", "..", "/":
		return ""
	default:
		return name
	}
}

// remoteTarget is the path at which a local source arrives: of the file, or of
// the directory whose files go below it ("" for the root).
func remoteTarget(source, dst string) string {
	if name := ownName(source); name != "" && strings.HasSuffix(dst, "/") {
		return dst + name
	}
	return strings.TrimSuffix(dst, "/")
}

// checkRemote refuses a target that is no path, with or without a final slash.
func checkRemote(dst string) error {
	if dst == "/" {
		return nil
	}
	if err := model.CheckPath(strings.TrimSuffix(dst, "/")); err != nil {
		var e *model.Error
		if errors.As(err, &e) {
			return usagef("%q: %s", dst, e.Message)
		}
		return err
	}
	return nil
}

// checkSources refuses a list of sources that do not fit the target.
func checkSources(sources []string, dst string) error {
	if err := checkRemote(dst); err != nil {
		return err
	}
	seen := map[string]string{}
	for _, source := range sources {
		switch {
		case source == "":
			return usagef("an empty name is no source")
		case source == "-" && len(sources) > 1:
			return usagef("standard input (-) cannot be one of several sources")
		case source == "-" && strings.HasSuffix(dst, "/"):
			return usagef("standard input (-) has no name; DST must be the path of a file, without a / at the end")
		}
		name := ownName(source)
		if len(sources) > 1 && name != "" && !strings.HasSuffix(dst, "/") {
			return usagef("several sources need a DST that ends in /, such as %s/", dst)
		}
		if other, taken := seen[name]; taken && name != "" {
			return usagef("%s and %s would both become %s", other, source, dst+name)
		}
		seen[name] = source
	}
	return nil
}

// localName turns a listed path into a name relative to the directory that
// stands for prefix (which ends in "/"). It refuses whatever could lead
// elsewhere: the server's word is not trusted for that.
func localName(prefix, remote string) (string, error) {
	if err := model.CheckPath(remote); err != nil {
		return "", fmt.Errorf("the server lists a path that is none: %w", err)
	}
	rel, ok := strings.CutPrefix(remote, prefix)
	if !ok || rel == "" {
		return "", fmt.Errorf("the server lists %q below %q", remote, prefix)
	}
	name := filepath.FromSlash(rel)
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q cannot be a local file name", rel)
	}
	return name, nil
}

// localTarget splits where a single remote file goes into directory and name.
// A DST that is a directory already counts as if it ended in "/".
func localTarget(remote, dst string, isDir bool) (dir, name string) {
	if strings.HasSuffix(dst, "/") || isDir || filepath.Base(dst) == "." || filepath.Base(dst) == ".." {
		return dst, path.Base(remote)
	}
	return filepath.Dir(dst), filepath.Base(dst)
}

// localDirectory is the directory that stands for a remote one.
func localDirectory(source, dst string) string {
	base := filepath.Base(dst)
	if own := !strings.HasSuffix(source, "/"); own && (strings.HasSuffix(dst, "/") || base == "." || base == "..") {
		return filepath.Join(dst, path.Base(source))
	}
	return dst
}

// shown renders a name for messages: as it is when it is plain text.
func shown(name string) string {
	if quoted := fmt.Sprintf("%q", name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
