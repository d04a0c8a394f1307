package dev

import (
	"os"
	"path/filepath"

	"tiercel/cluster/model"
)

func licenseFile(dir string) string { return filepath.Join(dir, "license.txt") }

// writeLicense lays the licence where every node reads it at its start.
func writeLicense(opt Options) error {
	if opt.License == "" {
		return nil
	}
	if err := os.WriteFile(licenseFile(opt.Dir), []byte(opt.License), 0o644); err != nil {
		return model.Errorf(model.CodeUnavailable, "start local cluster", "%s cannot be written: %w", licenseFile(opt.Dir), err)
	}
	return nil
}
