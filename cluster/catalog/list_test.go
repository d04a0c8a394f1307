package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/messages"
)

// listing is a catalog that holds these paths of the default tenant, and some
// of neighbours whose names begin alike.
func listing(t *testing.T, paths []string) (*catalog.Catalog, *memIndex) {
	ix := newMemIndex()
	row := encode(t, &messages.FileRow{Version: 1, Tier: 1})
	for _, path := range paths {
		ix.Set("f/default\x00"+path, row)
	}
	for _, tenant := range []string{"defaul", "default-2", "default2", "a", "z"} {
		ix.Set("f/"+tenant+"\x00/a/b", row)
	}
	return catalog.New(ix), ix
}

// page is a listing as text: files, and prefixes marked.
func page(files []*messages.ListedFile, prefixes []string) []string {
	var out []string
	for _, f := range files {
		out = append(out, "file "+f.Path)
	}
	for _, p := range prefixes {
		out = append(out, "prefix "+p)
	}
	return out
}

// bruteList is what List says, by definition: all entries in byte order, those
// behind after, limit of them.
func bruteList(paths []string, prefix, delimiter, after string, limit int) (out []string, next string) {
	kinds := map[string]string{}
	for _, path := range paths {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		name, kind := path, "file "
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			name, kind = prefix+rest[:i]+delimiter, "prefix "
		}
		if name > after {
			kinds[name] = kind
		}
	}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	for _, kind := range []string{"file ", "prefix "} {
		for _, name := range names {
			if kinds[name] == kind {
				out = append(out, kind+name)
			}
		}
	}
	return out, next
}

func TestList_IsInByteOrderAndRollsUpGroups(t *testing.T) {
	c, _ := listing(t, []string{"/a", "/a/b", "/a/c/d", "/a-b", "/b/x", "/b/y", "/c", "/é"})
	for _, l := range []struct {
		prefix, delimiter, after string
		limit                    int
		want                     string
		next                     string
	}{
		{"", "", "", 0, "file /a, file /a-b, file /a/b, file /a/c/d, file /b/x, file /b/y, file /c, file /é", ""},
		{"/", "/", "", 0, "file /a, file /a-b, file /c, file /é, prefix /a/, prefix /b/", ""},
		{"", "/", "", 0, "prefix /", ""},
		{"/a/", "/", "", 0, "file /a/b, prefix /a/c/", ""},
		{"/a", "/", "", 0, "file /a, file /a-b, prefix /a/", ""},
		{"/", "/", "", 3, "file /a, file /a-b, prefix /a/", "/a/"},
		{"/", "/", "/a/", 3, "file /c, file /é, prefix /b/", ""},
		{"/", "/", "/a/b", 1, "prefix /b/", "/b/"},
		{"/b/", "", "/b/x", 0, "file /b/y", ""},
		{"/b/", "", "/b/y", 0, "", ""},
		{"/b/", "", "/z", 0, "", ""},
		{"/b/", "", "/a", 0, "file /b/x, file /b/y", ""},
		{"/none", "/", "", 0, "", ""},
		{"", "\xff", "\xff", 0, "", ""}, // nothing can follow
		{"", "", "\xff", 0, "", ""},
	} {
		files, prefixes, next := c.List("default", l.prefix, l.delimiter, l.after, l.limit)
		assert.Equal(t, l.want, strings.Join(page(files, prefixes), ", "), "%+v", l)
		assert.Equal(t, l.next, next, "%+v", l)
	}
	files, prefixes, next := c.List("nobody", "", "", "", 0)
	assert.Empty(t, page(files, prefixes))
	assert.Empty(t, next)
}

func TestList_AgreesWithItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(n int) string {
		const alphabet = "ab/-\u00e9\x7e"
		letters := []rune(alphabet)
		var b strings.Builder
		for range rng.IntN(n) {
			b.WriteRune(letters[rng.IntN(len(letters))])
		}
		return b.String()
	}
	for range 60 {
		seen := map[string]bool{}
		for range 40 {
			seen["/"+pick(8)] = true
		}
		var paths []string
		for path := range seen {
			paths = append(paths, path)
		}
		slices.Sort(paths)
		c, _ := listing(t, paths)
		for range 60 {
			prefix := []string{"", "/", "/" + pick(4)}[rng.IntN(3)]
			delimiter := []string{"", "/", "a", "b/", "é"}[rng.IntN(5)]
			after := []string{"", "/" + pick(6), prefix + pick(3), paths[rng.IntN(len(paths))]}[rng.IntN(4)]
			limit := 1 + rng.IntN(12)
			for pages := 0; ; pages++ {
				require.Less(t, pages, 100)
				want, wantNext := bruteList(paths, prefix, delimiter, after, limit)
				files, prefixes, next := c.List("default", prefix, delimiter, after, limit)
				require.Equal(t, want, page(files, prefixes), "prefix %q delimiter %q after %q limit %d of %q", prefix, delimiter, after, limit, paths)
				require.Equal(t, wantNext, next)
				if after = next; next == "" {
					break
				}
			}
		}
	}
}

func TestList_APageCostsWhatItReturns(t *testing.T) {
	var paths []string
	for dir := range 50 {
		for f := range 200 {
			paths = append(paths, fmt.Sprintf("/%02d/%03d", dir, f))
		}
	}
	c, ix := listing(t, paths)
	for name, l := range map[string]struct {
		delimiter, after string
		limit, most      int
	}{
		"groups":              {"/", "", 50, 60},
		"behind a group":      {"/", "/10/", 10, 12},
		"in a group's middle": {"/", "/10/100", 10, 12},
		"files":               {"", "/10/100", 10, 12},
	} {
		ix.visited = 0
		files, prefixes, _ := c.List("default", "/", l.delimiter, l.after, l.limit)
		require.NotEmpty(t, page(files, prefixes))
		assert.LessOrEqual(t, ix.visited, l.most, name)
	}
}
