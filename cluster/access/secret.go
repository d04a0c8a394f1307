package access

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"tiercel/cluster/model"
)

// A secret is SecretPrefix and 32 random bytes in base64url. The prefix lets people, and
// programs that look for leaked secrets, see what it is.
const (
	SecretPrefix = model.TokenPrefix
	secretBytes  = 32
)

var secretLength = len(SecretPrefix) + base64.RawURLEncoding.EncodedLen(secretBytes)

// Hash is what is kept of a secret.
type Hash [sha256.Size]byte

// String writes a hash as it stands in a token file.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// NewSecret draws a secret.
func NewSecret(random io.Reader) (string, error) {
	var raw [secretBytes]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", model.Errorf(model.CodeInternal, "make a token", "no random bytes: %w", err)
	}
	return SecretPrefix + base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

// HashOf hashes a secret; invalid_argument for a text that NewSecret could not have made,
// which may be short enough to be guessed.
func HashOf(secret string) (Hash, error) {
	encoded, ok := strings.CutPrefix(secret, SecretPrefix)
	if ok && len(secret) == secretLength {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(encoded); err == nil {
			return sha256.Sum256([]byte(secret)), nil
		}
	}
	return Hash{}, model.Errorf(model.CodeInvalidArgument, "read a token",
		"this is not a token of Tiercel: %s and %d characters; make one with 'tiercel token create'",
		SecretPrefix, secretLength-len(SecretPrefix))
}

// ParseHash reads what String wrote.
func ParseHash(text string) (h Hash, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return h, model.Errorf(model.CodeInvalidArgument, "read a token's hash",
			"%d hexadecimal digits are wanted, as 'tiercel token create' and 'tiercel token hash' write them", 2*len(h))
	}
	return Hash(raw), nil
}
