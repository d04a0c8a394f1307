package signed

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// vendor is the key of a release.
var vendor = ed25519.NewKeyFromSeed([]byte("a vendor's key, 32 bytes long .."))

func vendorKeys(t *testing.T) Keys {
	k, err := KeysOf(base64.StdEncoding.EncodeToString(vendor.Public().(ed25519.PublicKey)))
	require.NoError(t, err)
	return k
}

func sample() Licence {
	return Licence{ID: "l-1", Customer: "Beispiel Größe GmbH", Level: license.Professional, Issued: now, Expires: now.Add(24 * time.Hour)}
}

func issued(t *testing.T, l Licence, key ed25519.PrivateKey) string {
	text, err := Issue(l, key)
	require.NoError(t, err)
	return text
}

func TestText_IsReadByPeopleAndComesBackAsItWas(t *testing.T) {
	l := sample()
	l.MaxWorkers, l.Cluster = 4, "c-0123456789abcdef"
	text := issued(t, l, vendor)
	lines := strings.Split(text, "\n")
	assert.Equal(t, []string{
		"TIERCEL LICENSE 1", "use: production", "id: l-1", "customer: Beispiel Größe GmbH", "level: professional", "issued: 2026-11-27T12:00:00Z",
		"expires: 2026-11-28T12:00:00Z", "max-workers: 4", "cluster: c-0123456789abcdef",
	}, lines[:9])
	got, err := vendorKeys(t).Verify(text)
	require.NoError(t, err)
	l.Key = Fingerprint(vendor.Public().(ed25519.PublicKey))
	assert.Equal(t, l, *got)
	row := got.Facts()
	assert.Equal(t, "professional", row.Level)
	assert.Equal(t, l.Expires.UnixMilli(), row.ExpiresUnixMs)
	assert.EqualValues(t, 4, row.MaxWorkers)
	assert.Equal(t, l.Cluster, row.Cluster)
}

func TestVerify_TakesWhatMailDoesToLineEnds(t *testing.T) {
	text := issued(t, sample(), vendor)
	for _, worn := range []string{strings.ReplaceAll(text, "\n", "\r\n"), "\n  " + text + "\n\n", strings.TrimSuffix(text, "\n")} {
		_, err := vendorKeys(t).Verify(worn)
		assert.NoError(t, err)
	}
}

// resigned is a text whose signed lines were made by hand.
func resigned(t *testing.T, edit func(string) string, key ed25519.PrivateKey) string {
	payload, _, err := split(issued(t, sample(), key))
	require.NoError(t, err)
	payload = edit(payload)
	return payload + signatureName + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(payload))) + "\n"
}

func replace(old, next string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, next, 1) }
}

func TestVerify_EachThingThatIsWrongHasAReasonOfItsOwn(t *testing.T) {
	text := issued(t, sample(), vendor)
	other := ed25519.NewKeyFromSeed([]byte("another vendor's key, 32 bytes.."))
	signature := text[strings.LastIndex(text, signatureName)+len(signatureName):]
	for _, c := range []struct {
		name, text, reason, says string
	}{
		{"nothing", "", ReasonTruncated, "copy the whole file"},
		{"the beginning", "TIERCEL LIC", ReasonTruncated, "copy the whole file"},
		{"no signature", text[:strings.LastIndex(text, "signature")], ReasonTruncated, "its last line, the signature, is missing"},
		{"half a signature", text[:len(text)-20], ReasonTruncated, "the signature is not complete"},
		{"an empty signature", strings.Replace(text, signature, "\n", 1), ReasonTruncated, ""},
		{"something else", "-----BEGIN CERTIFICATE-----\n", ReasonMalformed, "does not begin with the line"},
		{"not UTF-8", "TIERCEL LICENSE 1\n\xff\xfe", ReasonMalformed, "UTF-8"},
		{"another format", strings.Replace(text, "LICENSE 1", "LICENSE 2", 1), ReasonMalformed, ""},
		{"too long", text + strings.Repeat(" ", MaxTextBytes), ReasonTooLong, "at most 4096"},
		{"a long value", resigned(t, replace("l-1", strings.Repeat("x", 300)), vendor), ReasonTooLong, "at most 200"},
		{"many lines", resigned(t, func(s string) string { return s + strings.Repeat("a: b\n", 30) }, vendor), ReasonMalformed, "at most 16"},
		{"two licences", text + text, ReasonMalformed, ""},
		{"something after it", text + "and more\n", ReasonMalformed, "follows the signature"},
		{"a higher level", strings.Replace(text, "professional", "enterprise", 1), ReasonForged, "changed after it was signed"},
		{"a later end", strings.Replace(text, "2026-11-28", "2036-11-28", 1), ReasonForged, "changed after it was signed"},
		{"another customer", strings.Replace(text, "Beispiel", "Beispiol", 1), ReasonForged, ""},
		{"another signature", strings.Replace(text, signature, base64.StdEncoding.EncodeToString(make([]byte, 64))+"\n", 1), ReasonForged, ""},
		{"a longer signature", strings.Replace(text, signature, base64.StdEncoding.EncodeToString(make([]byte, 66))+"\n", 1), ReasonForged, ""},
		{"a foreign key", issued(t, sample(), other), ReasonForeignKey, "for another product or build"},
		{"a foreign key that claims to be ours", strings.Replace(issued(t, sample(), other), Fingerprint(other.Public().(ed25519.PublicKey)),
			Fingerprint(vendor.Public().(ed25519.PublicKey)), 1), ReasonForged, ""},
		{"a development licence", issued(t, sample(), DevelopmentKey()), ReasonDevelopment, "built with a release key"},
		{"an unknown level", resigned(t, replace("professional", "platinum"), vendor), ReasonUnknownLevel, "platinum"},
		{"a field more", resigned(t, replace("level:", "extra: 1\nlevel:"), vendor), ReasonMalformed, "in their order"},
		{"a field twice", resigned(t, replace("level:", "id: l-1\nlevel:"), vendor), ReasonMalformed, "in their order"},
		{"a field less", resigned(t, replace("id: l-1\n", ""), vendor), ReasonMalformed, ""},
		{"another order", resigned(t, replace("id: l-1\ncustomer: Beispiel Größe GmbH", "customer: Beispiel Größe GmbH\nid: l-1"), vendor), ReasonMalformed, "in their order"},
		{"a line without a colon", resigned(t, replace("id: l-1", "id l-1"), vendor), ReasonMalformed, "name: value"},
		{"a time of its own kind", resigned(t, replace("2026-11-27T12:00:00Z", "2026-11-27"), vendor), ReasonMalformed, "issued"},
		{"a time with an offset", resigned(t, replace("2026-11-27T12:00:00Z", "2026-11-27T12:00:00+01:00"), vendor), ReasonMalformed, "issued"},
		{"an end before its beginning", resigned(t, replace("2026-11-28", "2026-11-26"), vendor), ReasonMalformed, "not after"},
		{"centuries", resigned(t, replace("2026-11-28", "9026-11-28"), vendor), ReasonTooLong, "at most 100"},
		{"no workers", resigned(t, replace("key:", "max-workers: 0\nkey:"), vendor), ReasonMalformed, "max-workers"},
		{"marked as development", resigned(t, replace("production", "development"), vendor), ReasonForged, "not marked"},
	} {
		_, err := vendorKeys(t).Verify(c.text)
		require.Error(t, err, c.name)
		assert.Equal(t, c.reason, Reason(err), "%s: %v", c.name, err)
		assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), c.name)
		assert.ErrorContains(t, err, c.says, c.name)
	}
}

func TestVerify_AProgramWithoutAReleaseKeyTakesDevelopmentLicencesAndNoOthers(t *testing.T) {
	text, err := Develop(license.Enterprise, now)
	require.NoError(t, err)
	assert.Contains(t, text, "\nuse: development\n", "it is clearly marked")
	l, err := Keys{}.Verify(text)
	require.NoError(t, err)
	assert.True(t, l.Development)
	assert.True(t, l.Facts().Development)
	_, err = Keys{}.Verify(issued(t, sample(), vendor))
	assert.Equal(t, ReasonForeignKey, Reason(err))
	_, err = vendorKeys(t).Verify(text)
	assert.Equal(t, ReasonDevelopment, Reason(err))
}

func TestKeysOf_ABrokenReleaseKeyNeverFallsBackToTheDevelopmentKey(t *testing.T) {
	for _, built := range []string{"x", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 31)), "$(LICENSE_KEY)"} {
		_, err := KeysOf(built)
		assert.Error(t, err, built)
	}
	k, err := KeysOf("")
	require.NoError(t, err)
	assert.True(t, k.Development())
	assert.False(t, vendorKeys(t).Development())
}

func TestJudge_TimeAndCluster(t *testing.T) {
	l := sample()
	l.Cluster = "c-1"
	for _, c := range []struct {
		name, cluster, reason string
		at                    time.Time
	}{
		{"at once", "c-1", "", now},
		{"the issuer's clock is a little ahead", "c-1", "", now.Add(-ClockSkew)},
		{"before it begins", "c-1", ReasonNotYetValid, now.Add(-ClockSkew - time.Second)},
		{"a second before the end", "c-1", "", l.Expires.Add(-time.Second)},
		{"at the end", "c-1", ReasonExpired, l.Expires},
		{"another cluster", "c-2", ReasonOtherCluster, now},
		{"a cluster that is not known yet", "", "", now},
	} {
		err := l.Judge(c.at, c.cluster)
		assert.Equal(t, c.reason, Reason(err), "%s: %v", c.name, err)
	}
}

func TestSet_TheHighestTimeThatTheLogHasSeenCounts(t *testing.T) {
	k := vendorKeys(t)
	text := issued(t, sample(), vendor)
	set, err := k.Set(text, now, "c-1", nil)
	require.NoError(t, err)
	row, _, _ := license.Install(nil, set, 1)
	row = license.Note(row, now.Add(48*time.Hour).UnixMilli())
	_, err = k.Set(text, now, "c-1", row)
	assert.Equal(t, ReasonExpired, Reason(err), "the clock was moved back")
	later := sample()
	later.Issued, later.Expires = now.Add(time.Minute), now.Add(72*time.Hour)
	_, err = k.Set(issued(t, later, vendor), now, "c-1", row)
	assert.NoError(t, err, "one that was issued later tells the time anew")
	later.Issued, later.Expires = now.Add(time.Hour), now.Add(72*time.Hour)
	_, err = k.Set(issued(t, later, vendor), now, "c-1", row)
	assert.Equal(t, ReasonNotYetValid, Reason(err))
}

func TestIssue_RefusesWhatCouldNotBeRead(t *testing.T) {
	for name, edit := range map[string]func(*Licence){
		"no id":            func(l *Licence) { l.ID = "" },
		"an id of words":   func(l *Licence) { l.ID = "a b" },
		"no customer":      func(l *Licence) { l.Customer = "" },
		"two lines":        func(l *Licence) { l.Customer = "a\nlevel: enterprise" },
		"blanks":           func(l *Licence) { l.Customer = " a" },
		"a long customer":  func(l *Licence) { l.Customer = strings.Repeat("x", 201) },
		"an unknown level": func(l *Licence) { l.Level = "gold" },
		"no time":          func(l *Licence) { l.Expires = l.Issued },
		"a cluster's line": func(l *Licence) { l.Cluster = "c\nx" },
	} {
		l := sample()
		edit(&l)
		_, err := Issue(l, vendor)
		assert.Error(t, err, name)
	}
}

func TestDevelopmentSet_GoesTheWayOfEveryLicence(t *testing.T) {
	for _, level := range license.Levels {
		set := DevelopmentSet(level, now)
		require.NotNil(t, set)
		row, changed, _ := license.Install(nil, set, 1)
		require.True(t, changed)
		assert.Equal(t, level, license.Of(row).Level())
	}
	assert.Nil(t, DevelopmentSet("gold", now))
}

func FuzzVerify(f *testing.F) {
	text, err := Develop(license.Standard, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(strings.Replace(text, "standard", "enterprise", 1))
	f.Add(text[:len(text)/2])
	f.Add("TIERCEL LICENSE 1\nsignature: ")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Keys{}.Verify(text)
		if err != nil {
			if Reason(err) == "" {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		// Whoever is believed renders to what was signed.
		payload, _, err := split(text)
		if err != nil || l.payload() != payload {
			t.Fatalf("read %q as %q", payload, l.payload())
		}
	})
}
