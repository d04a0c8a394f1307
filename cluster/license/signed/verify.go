package signed

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// ClockSkew is how far the issuer's clock may be ahead of ours.
const ClockSkew = 10 * time.Minute

// Keys says whom a program believes. The zero Keys believes the development key.
type Keys struct{ release ed25519.PublicKey }

// KeysOf reads the public key that a program was built with, in base64; empty: none, so
// the development key. A key that cannot be read is an error, never the development key.
func KeysOf(built string) (Keys, error) {
	if built == "" {
		return Keys{}, nil
	}
	key, err := base64.StdEncoding.DecodeString(built)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return Keys{}, model.Errorf(model.CodeInternal, "read the release key",
			"this program was built with a licence key that is not 32 bytes in base64; build it again with the right one, or without")
	}
	return Keys{release: key}, nil
}

// Development reports whether development licences are believed.
func (k Keys) Development() bool { return k.release == nil }

func (k Keys) public() ed25519.PublicKey {
	if k.release == nil {
		return developmentKey.Public().(ed25519.PublicKey)
	}
	return k.release
}

// Fingerprint names a public key: enough of its SHA-256 to tell keys apart.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// Verify reads a text that was signed with the key these Keys believe. Whether it is
// valid now, and here, Judge says.
func (k Keys) Verify(text string) (*Licence, error) {
	payload, encoded, err := split(text)
	if err != nil {
		return nil, err
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(signature) < ed25519.SignatureSize {
		return nil, refuse(ReasonTruncated, "the signature is not complete; copy the whole file")
	}
	l, err := parse(payload)
	if err != nil {
		return nil, err
	}
	if own := Fingerprint(k.public()); l.Key != own {
		if l.Key == Fingerprint(developmentKey.Public().(ed25519.PublicKey)) {
			return nil, refuse(ReasonDevelopment, "this is a development licence, and this program was built with a release key: it takes only licences signed with that (%s)", own)
		}
		return nil, refuse(ReasonForeignKey, "the licence is signed with the key %s, and this program believes %s: it is for another product or build", l.Key, own)
	}
	if !ed25519.Verify(k.public(), []byte(payload), signature) {
		return nil, refuse(ReasonForged, "the signature does not match the text: the licence was changed after it was signed")
	}
	if l.Development != k.Development() {
		return nil, refuse(ReasonForged, "the licence is not marked as what the key that signed it is for")
	}
	return l, l.check()
}

// Judge refuses a verified licence that is not valid at a time, or not for a cluster.
func (l *Licence) Judge(now time.Time, cluster string) error {
	switch {
	case l.Cluster != "" && cluster != "" && l.Cluster != cluster:
		return refuse(ReasonOtherCluster, "the licence %s is for the cluster %s, and this is %s", l.ID, l.Cluster, cluster)
	case !now.Before(l.Expires):
		return refuse(ReasonExpired, "the licence %s expired at %s; ask for a new one", l.ID, l.Expires.Format(time.RFC3339))
	case now.Add(ClockSkew).Before(l.Issued):
		return refuse(ReasonNotYetValid, "the licence %s is valid from %s on, and it is %s now; set the clock right, or wait",
			l.ID, l.Issued.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// Facts are what the log keeps of a licence.
func (l *Licence) Facts() *messages.LicenseRow {
	return &messages.LicenseRow{
		Id: l.ID, Customer: l.Customer, Level: string(l.Level), IssuedUnixMs: l.Issued.UnixMilli(), ExpiresUnixMs: l.Expires.UnixMilli(),
		MaxWorkers: l.MaxWorkers, Key: l.Key, Development: l.Development, Cluster: l.Cluster,
	}
}

// Set is the command that installs a text, verified for a cluster whose row of a licence
// is old. The time that counts is the highest that the log has seen.
func (k Keys) Set(text string, now time.Time, cluster string, old *messages.LicenseRow) (*messages.SetLicense, error) {
	l, err := k.Verify(text)
	if err != nil {
		return nil, err
	}
	at := time.UnixMilli(license.SeenAfter(old, l.Issued.UnixMilli(), now.UnixMilli())).UTC()
	if err := l.Judge(at, cluster); err != nil {
		return nil, err
	}
	// What begins later is judged by our own clock: the log's time may have been told by the licence itself.
	if err := l.Judge(now, cluster); Reason(err) == ReasonNotYetValid {
		return nil, err
	}
	return &messages.SetLicense{License: l.Facts(), AtUnixMs: now.UnixMilli()}, nil
}

// Issue signs a licence. Key and use are filled in.
func Issue(l Licence, key ed25519.PrivateKey) (string, error) {
	l.Issued, l.Expires = l.Issued.UTC().Truncate(time.Second), l.Expires.UTC().Truncate(time.Second)
	l.Key, l.Development = Fingerprint(key.Public().(ed25519.PublicKey)), key.Equal(developmentKey)
	if err := l.check(); err != nil {
		return "", err
	}
	payload := l.payload()
	if _, err := parse(payload); err != nil {
		return "", err
	}
	text := payload + signatureName + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(payload))) + "\n"
	if len(text) > MaxTextBytes {
		return "", refuse(ReasonTooLong, "the text would have %d bytes; a licence has at most %d", len(text), MaxTextBytes)
	}
	return text, nil
}

// developmentKey is no secret. What it signs is marked, and believed only by programs
// that were built without a release key.
var developmentKey = func() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("tiercel development licence key: everybody has it"))
	return ed25519.NewKeyFromSeed(seed[:])
}()

// DevelopmentKey signs licences for trying every level.
func DevelopmentKey() ed25519.PrivateKey { return developmentKey }

// Develop issues a development licence of a level for a year from a time on.
func Develop(level license.Level, issued time.Time) (string, error) {
	return Issue(Licence{
		ID: "development-" + strings.ToLower(string(level)), Customer: "nobody: for development only", Level: level,
		Issued: issued, Expires: issued.Add(365 * 24 * time.Hour),
	}, developmentKey)
}

// DevelopmentSet is the command that installs a development licence: what clusters for
// trying and testing are founded with. It goes the way of every other licence.
func DevelopmentSet(level license.Level, now time.Time) *messages.SetLicense {
	text, err := Develop(level, now)
	if err != nil {
		return nil // of a level that there is none of
	}
	set, err := Keys{}.Set(text, now, "", nil)
	if err != nil {
		return nil
	}
	return set
}
