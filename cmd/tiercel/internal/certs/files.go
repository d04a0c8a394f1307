package certs

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tiercel/cluster/model"
)

// maxFileBytes bounds a file of certificates: a bundle of authorities is the largest.
const maxFileBytes = 1 << 20

// writePair writes the key first: a certificate is never there without it.
func writePair(pair Pair, cert, key []byte, replace bool) error {
	const op = "write a certificate"
	if err := os.MkdirAll(filepath.Dir(pair.Cert), 0o700); err != nil {
		return model.Errorf(model.CodeUnavailable, op, "the directory cannot be made: %w", err)
	}
	if !replace {
		for _, name := range []string{pair.Cert, pair.Key} {
			if _, err := os.Lstat(name); err == nil {
				return model.Errorf(model.CodeConflict, op, "%s is there already and is not overwritten; choose another name or directory, or renew a node's with --replace", name)
			}
		}
	}
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{pair.Key, key, 0o600}, {pair.Cert, cert, 0o644}} {
		if err := writeFile(f.name, f.text, f.mode, replace); err != nil {
			return model.Errorf(model.CodeUnavailable, op, "%s cannot be written: %w", f.name, err)
		}
	}
	return nil
}

// writeFile makes a file whole or not at all. Replacing swaps it in one step, so that a
// server which reads it meanwhile sees the old or the new one.
func writeFile(name string, text []byte, mode os.FileMode, replace bool) (err error) {
	target := name
	if replace {
		target = name + ".new"
		if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(target))
	}
	if replace {
		return os.Rename(target, name)
	}
	return nil
}

// loadCA reads the authority in a directory with its key.
func loadCA(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	const op = "read the authority"
	pair := PairOf(dir, caName)
	certText, err := readFile(pair.Cert)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, model.Errorf(model.CodeNotFound, op, "there is no authority in %s; make one with 'tiercel certs init-ca --dir %s'", dir, dir)
	}
	if err != nil {
		return nil, nil, err
	}
	keyText, err := readFile(pair.Key)
	if err != nil {
		return nil, nil, model.Errorf(model.CodeUnavailable, op, "%s cannot be read; certificates are made where the authority's key is: %w", pair.Key, err)
	}
	block, _ := pem.Decode(certText)
	if block == nil {
		return nil, nil, model.Errorf(model.CodeCorrupt, op, "%s holds no certificate in PEM form", pair.Cert)
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !ca.IsCA {
		return nil, nil, model.Errorf(model.CodeCorrupt, op, "%s is not the certificate of an authority", pair.Cert)
	}
	if block, _ = pem.Decode(keyText); block == nil {
		return nil, nil, model.Errorf(model.CodeCorrupt, op, "%s holds no key in PEM form", pair.Key)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || !key.PublicKey.Equal(ca.PublicKey) {
		return nil, nil, model.Errorf(model.CodeCorrupt, op, "%s is not the key of %s", pair.Key, pair.Cert)
	}
	return ca, key, nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileBytes {
		return nil, model.Errorf(model.CodeInvalidArgument, "read a certificate", "%s is not a regular file of at most %d bytes", name, maxFileBytes)
	}
	return os.ReadFile(name)
}
