package signed

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tiercel/cluster/license"
)

// Limits of the text.
const (
	MaxTextBytes  = 4096
	maxValueBytes = 200
	maxLines      = 16
	// maxTerm keeps years within four digits.
	maxTerm = 100 * 365 * 24 * time.Hour
)

// header is the first line; another format will have another number.
const header = "TIERCEL LICENSE 1"

const (
	useProduction  = "production"
	useDevelopment = "development" // clearly marked: no one has paid for it
)

// Licence is what a text says.
type Licence struct {
	ID         string
	Customer   string
	Level      license.Level
	Issued     time.Time // whole seconds
	Expires    time.Time // the first moment at which it is over
	MaxWorkers uint64    // a limit of its own; 0: the level's
	Cluster    string    // id of the only cluster it is for; empty: any
	// Development: signed with the key that everybody has.
	Development bool
	Key         string // fingerprint of the key that signed it
}

// field is one line of the text.
type field struct{ name, value string }

// fields are the lines between header and signature, in their only order.
func (l *Licence) fields() []field {
	use := useProduction
	if l.Development {
		use = useDevelopment
	}
	out := []field{
		{"use", use}, {"id", l.ID}, {"customer", l.Customer}, {"level", string(l.Level)},
		{"issued", l.Issued.UTC().Format(time.RFC3339)}, {"expires", l.Expires.UTC().Format(time.RFC3339)},
	}
	if l.MaxWorkers > 0 {
		out = append(out, field{"max-workers", strconv.FormatUint(l.MaxWorkers, 10)})
	}
	if l.Cluster != "" {
		out = append(out, field{"cluster", l.Cluster})
	}
	return append(out, field{"key", l.Key})
}

// payload is what is signed.
func (l *Licence) payload() string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for _, f := range l.fields() {
		b.WriteString(f.name + ": " + f.value + "\n")
	}
	return b.String()
}

const signatureName = "signature: "

// split separates what is signed from the signature. Line ends and blank space around
// the text may have suffered on the way here; nothing else may.
func split(text string) (payload, signature string, err error) {
	if len(text) > MaxTextBytes {
		return "", "", refuse(ReasonTooLong, "the text has %d bytes; a licence has at most %d", len(text), MaxTextBytes)
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch {
	case !utf8.ValidString(text):
		return "", "", refuse(ReasonMalformed, "the text is not UTF-8; a licence begins with the line %q", header)
	case text == "" || strings.HasPrefix(header, text):
		return "", "", refuse(ReasonTruncated, "the text is empty or only the beginning of a licence; copy the whole file")
	case !strings.HasPrefix(text, header+"\n"):
		return "", "", refuse(ReasonMalformed, "the text is no licence: it does not begin with the line %q", header)
	}
	at := strings.LastIndex(text, "\n"+signatureName)
	if at < 0 {
		return "", "", refuse(ReasonTruncated, "the licence is truncated: its last line, the signature, is missing; copy the whole file")
	}
	payload, signature = text[:at+1], text[at+1+len(signatureName):]
	if strings.Contains(signature, "\n") {
		return "", "", refuse(ReasonMalformed, "something follows the signature, which is the last line of a licence")
	}
	return payload, signature, nil
}

// parse reads the signed lines. What it returns renders to the very same text.
func parse(payload string) (*Licence, error) {
	lines := strings.Split(strings.TrimSuffix(payload, "\n"), "\n")
	if len(lines) > maxLines {
		return nil, refuse(ReasonMalformed, "the licence has %d lines; at most %d are possible", len(lines), maxLines)
	}
	values := make(map[string]string)
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok || value == "":
			return nil, refuse(ReasonMalformed, "the line %.40q is not of the form \"name: value\"", line)
		case len(value) > maxValueBytes:
			return nil, refuse(ReasonTooLong, "%s has %d bytes; at most %d are possible", name, len(value), maxValueBytes)
		}
		values[name] = value
	}
	l := &Licence{
		ID: values["id"], Customer: values["customer"], Level: license.Level(values["level"]), Cluster: values["cluster"], Key: values["key"],
		Development: values["use"] == useDevelopment,
	}
	var err error
	if l.Issued, err = readTime(values, "issued"); err != nil {
		return nil, err
	}
	if l.Expires, err = readTime(values, "expires"); err != nil {
		return nil, err
	}
	if text, given := values["max-workers"]; given {
		if l.MaxWorkers, err = strconv.ParseUint(text, 10, 32); err != nil || l.MaxWorkers == 0 {
			return nil, refuse(ReasonMalformed, "max-workers is %q, which is no number from 1 on", text)
		}
	}
	if l.payload() != payload {
		return nil, refuse(ReasonMalformed, "the lines are not those of a licence in their order: %s", names(l.fields()))
	}
	return l, nil
}

func readTime(values map[string]string, name string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, values[name])
	if err != nil || t.Location() != time.UTC {
		return t, refuse(ReasonMalformed, "%s is %q, not a time such as 2026-01-31T00:00:00Z", name, values[name])
	}
	return t, nil
}

func names(fields []field) string {
	var out []string
	for _, f := range fields {
		out = append(out, f.name)
	}
	return strings.Join(out, ", ")
}

// check refuses what no issuer may sign.
func (l *Licence) check() error {
	for _, f := range []field{{"id", l.ID}, {"customer", l.Customer}} {
		if f.value == "" || len(f.value) > maxValueBytes || !utf8.ValidString(f.value) || strings.TrimSpace(f.value) != f.value || strings.ContainsFunc(f.value, unicode.IsControl) {
			return refuse(ReasonMalformed, "%s must be 1 to %d bytes of text on one line", f.name, maxValueBytes)
		}
	}
	if strings.ContainsAny(l.ID+l.Cluster, " \t") || strings.ContainsFunc(l.Cluster, unicode.IsControl) || len(l.Cluster) > maxValueBytes {
		return refuse(ReasonMalformed, "id and cluster have no spaces in them and at most %d bytes", maxValueBytes)
	}
	switch {
	case !l.Level.Known():
		return refuse(ReasonUnknownLevel, "the level %q is not known to this program; there are %s", l.Level, levelNames())
	case !l.Issued.Before(l.Expires):
		return refuse(ReasonMalformed, "it expires at %s, which is not after it was issued, %s", l.Expires.Format(time.RFC3339), l.Issued.Format(time.RFC3339))
	case l.Expires.Sub(l.Issued) > maxTerm:
		return refuse(ReasonTooLong, "it is valid for %d years; at most 100 are possible", int(l.Expires.Sub(l.Issued).Hours()/24/365))
	}
	return nil
}

func levelNames() string {
	names := make([]string, 0, len(license.Levels))
	for _, l := range license.Levels {
		names = append(names, string(l))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
