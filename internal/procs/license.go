package procs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Unlicensed founds a cluster without a licence.
const Unlicensed = "none"

// IssueLicense lets a binary issue a development licence of a level into a file, for
// --license.
func IssueLicense(binary, level, file string) error {
	text, err := exec.Command(binary, "license", "issue", "--level", level).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return fmt.Errorf("issue a licence: %w", err)
	}
	return os.WriteFile(file, text, 0o644)
}

func (c *Cluster) licenseFile() string { return filepath.Join(c.opt.Dir, "license.txt") }

// issueLicense makes the licence that the first node is given.
func (c *Cluster) issueLicense() error {
	if c.opt.License == Unlicensed {
		return nil
	}
	return IssueLicense(c.opt.Binary, cmp.Or(c.opt.License, "enterprise"), c.licenseFile())
}

func (c *Cluster) licenseArgs() []string {
	if c.opt.License == Unlicensed {
		return nil
	}
	return []string{"--license", c.licenseFile()}
}
