package catalog

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// checkName refuses a tenant or path that is not canonical: what apply has let
// in once can be listed, recovered and deleted for ever.
func checkName(tenant, path string) *messages.CommandResult {
	if checkOwner(tenant) != nil {
		return refuse("bad_tenant")
	}
	if model.CheckPath(path) != nil {
		return refuse("bad_path")
	}
	return nil
}

// checkAttributes refuses a file that no row should hold.
func checkAttributes(e entry, file *messages.FileAttributes) *messages.CommandResult {
	if refused := checkName(file.GetTenant(), file.GetPath()); refused != nil {
		return refused
	}
	if file.SizeBytes > model.MaxContentBytes {
		return refuse("too_large", "field", "size_bytes", "limit", strconv.Itoa(model.MaxContentBytes))
	}
	field := ""
	switch {
	case !validTier(file.Tier):
		field = "tier"
	case file.TierAsked > uint32(model.TierRebuildable):
		field = "tier_asked"
	case !validText(file.ContentType, model.MaxContentTypeBytes):
		field = "content_type"
	case !validText(e.cmd.IdempotencyKey, model.MaxIdempotencyKeyBytes):
		field = "idempotency_key"
	case !validMeta(file.Meta):
		field = "meta"
	default:
		return nil
	}
	return refuse("bad_field", "field", field)
}

func validMeta(meta map[string]string) bool {
	if len(meta) == 0 {
		return true
	}
	if len(meta) > model.MaxMetaEntries {
		return false
	}
	total, valid := 0, true
	for name, value := range meta { // a sum: the order does not matter
		total += len(name) + len(value)
		valid = valid && name != "" && utf8.ValidString(name) && utf8.ValidString(value)
	}
	return valid && total <= model.MaxMetaBytes
}

// validText accepts UTF-8 up to a length; empty is fine.
func validText(s string, most int) bool { return len(s) <= most && utf8.ValidString(s) }

// validName accepts a name that can be a key and be printed.
func validName(s string) bool {
	return s != "" && validText(s, MaxNameBytes) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// validNames accepts 1 to `most` distinct names.
func validNames(names []string, most int) bool {
	if len(names) == 0 || len(names) > most {
		return false
	}
	for i, name := range names {
		if !validName(name) || slices.Contains(names[:i], name) {
			return false
		}
	}
	return true
}

func signed(v int64) string { return strconv.FormatInt(v, 10) }
