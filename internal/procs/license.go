package procs

import (
	"cmp"
	"os"
	"path/filepath"
	"time"

	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
)

// Unlicensed founds a cluster without a licence.
const Unlicensed license.Level = "none"

// WriteLicense issues a development licence of a level into a file, for --license.
func WriteLicense(file string, level license.Level) error {
	text, err := signed.Develop(level, time.Now())
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func (c *Cluster) licenseFile() string { return filepath.Join(c.opt.Dir, "license.txt") }

// writeLicense issues the licence that the first node is given.
func (c *Cluster) writeLicense() error {
	if c.opt.License == Unlicensed {
		return nil
	}
	return WriteLicense(c.licenseFile(), cmp.Or(c.opt.License, license.Enterprise))
}

func (c *Cluster) licenseArgs() []string {
	if c.opt.License == Unlicensed {
		return nil
	}
	return []string{"--license", c.licenseFile()}
}
