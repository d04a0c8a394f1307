package tokens

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
)

// maxFileBytes bounds a token file: access.MaxTokens fit.
const maxFileBytes = 8 << 20

// Problems is everything wrong with one token file.
type Problems struct {
	Path string
	List []error
}

// Error lists the problems one a line.
func (p *Problems) Error() string {
	if len(p.List) == 1 {
		return fmt.Sprintf("auth-tokens %s: %v", p.Path, p.List[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "auth-tokens %s: %d problems:", p.Path, len(p.List))
	for _, err := range p.List {
		b.WriteString("\n  - " + err.Error())
	}
	return b.String()
}

// line is one token as the file has it.
type line struct {
	Name    string     `yaml:"name"`
	Role    model.Role `yaml:"role"`
	Tenant  string     `yaml:"tenant,omitempty"`
	Cluster bool       `yaml:"cluster,omitempty"`
	Expires string     `yaml:"expires,omitempty"`
	SHA256  string     `yaml:"sha256"`
}

type document struct {
	Tokens []line `yaml:"tokens"`
}

// Read reads a token file; the error is Problems.
func Read(path string) (*access.Table, error) {
	text, err := readText(path)
	if err != nil {
		return nil, &Problems{path, []error{err}}
	}
	table, problems := decode(text)
	if len(problems) > 0 {
		return nil, &Problems{path, problems}
	}
	return table, nil
}

func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("there is no such file; make it and its first token with 'tiercel token create --file " + path + " --name NAME --role admin --cluster'")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("anybody on this machine could write it (%#o); chmod o-w it", info.Mode().Perm())
	case info.Size() > maxFileBytes:
		return nil, fmt.Errorf("it has %d bytes; at most %d are read", info.Size(), maxFileBytes)
	}
	return os.ReadFile(path)
}

// decode makes a table of a file's text, or lists all that is wrong with it.
func decode(text []byte) (*access.Table, []error) {
	var doc document
	var problems []error
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var wrong *yaml.TypeError
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, []error{errors.New("it is empty; write \"tokens: []\" if nobody shall have access")}
	case errors.As(err, &wrong):
		for _, text := range wrong.Errors {
			problems = append(problems, errors.New(inWords(text)))
		}
	case err != nil:
		return nil, []error{err}
	}
	if err := dec.Decode(new(document)); !errors.Is(err, io.EOF) {
		problems = append(problems, errors.New("it goes on after its first YAML document"))
	}
	entries := make([]access.Entry, len(doc.Tokens))
	for i, l := range doc.Tokens {
		found := l.into(&entries[i], i+1)
		for _, err := range found {
			problems = append(problems, fmt.Errorf("token %d (%s): %w", i+1, l.Name, err))
		}
	}
	table, found := access.NewTable(entries)
	problems = append(problems, found...)
	if len(problems) > 0 {
		return nil, problems
	}
	return table, nil
}

// into parses what is not text. A hash that cannot be read is told of here alone.
func (l *line) into(e *access.Entry, number int) (problems []error) {
	*e = access.Entry{Name: l.Name, Role: l.Role, Tenant: l.Tenant, Cluster: l.Cluster}
	var err error
	if l.Expires != "" {
		if e.Expires, err = ParseTime(l.Expires); err != nil {
			problems = append(problems, fmt.Errorf("expires: %w", err))
		}
	}
	if l.SHA256 != "" {
		if e.Hash, err = access.ParseHash(l.SHA256); err != nil {
			problems = append(problems, fmt.Errorf("sha256: %s", err.(*model.Error).Message))
			binary.BigEndian.PutUint64(e.Hash[:], uint64(number)) // not missing, and not another's
		}
	}
	return problems
}

// ParseTime reads an end: RFC 3339, or a day, which means its first moment in UTC.
func ParseTime(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil && t.Year() > 1 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time such as 2027-01-31T12:00:00Z nor a day such as 2027-01-31", text)
}

// inWords tells what YAML says of a type without the content that it quotes: in this file
// that may be a secret.
func inWords(text string) string {
	line, _, kind := strings.Cut(text, ": cannot unmarshal ")
	if !kind {
		return text
	}
	return line + ": something else belongs here; the file is \"tokens:\" and below it a list, as 'tiercel token create' writes it"
}
