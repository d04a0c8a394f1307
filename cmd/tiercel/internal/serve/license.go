package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/internal/version"
	"tiercel/messages"
)

// licence is what this process was given, and whom it believes.
type licence struct {
	keys signed.Keys
	text string // of --license, verified; empty: none
}

// readLicense reads and verifies --license before anything starts: a file that is no
// licence of this program is a mistake to be told at once. One whose time is over is
// not: a node has to start all the same, to give its data out.
func readLicense(file string) (licence, error) {
	keys, err := signed.KeysOf(version.LicenseKey)
	if err != nil || file == "" {
		return licence{keys: keys}, err
	}
	const op = "read the licence"
	f, err := os.Open(file)
	if err != nil {
		return licence{}, model.Errorf(model.CodeInvalidArgument, op, "--license %s cannot be read: %w", file, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, signed.MaxTextBytes+1))
	if err != nil {
		return licence{}, model.Errorf(model.CodeInvalidArgument, op, "--license %s cannot be read: %w", file, err)
	}
	if _, err := keys.Verify(string(text)); err != nil {
		why := err.Error()
		var e *model.Error
		if errors.As(err, &e) {
			why = e.Message
		}
		return licence{}, model.Errorf(model.CodeInvalidArgument, op, "--license %s: %s", file, why).With(model.DetailReason, signed.Reason(err))
	}
	return licence{keys: keys, text: string(text)}, nil
}

// beside adds to the refusal of a newcomer what its own licence, of a file, would do about
// it. A node that is not taken in installs nothing: whoever runs the cluster does.
func (l licence) beside(refusal error, file string, now time.Time) error {
	var e *model.Error
	if l.text == "" || !errors.As(refusal, &e) || e.Code != model.CodeLicenseDenied {
		return refusal
	}
	own, err := l.keys.Verify(l.text)
	if err != nil {
		return refusal // it was verified at the start
	}
	with := *e
	var no *model.Error
	switch {
	case errors.As(own.Judge(now, ""), &no):
		with.Message += fmt.Sprintf(". The licence of --license %s is no help: %s", file, no.Message)
	case license.Of(own.Facts()).Allows(e.Details):
		with.Message += fmt.Sprintf(". The licence %s of --license %s (%s) allows it, but a node installs its licence only once it is in the cluster: "+
			"run 'tiercel license install %s --server http://HOST:PORT', with the --http address of a node of the cluster, then start this node again",
			own.ID, file, own.Level, file)
	default:
		with.Message += fmt.Sprintf(". The licence %s of --license %s (%s) does not allow it either", own.ID, file, own.Level)
	}
	return &with
}

// founding is the licence that a new cluster begins with; nil: none that is valid.
func (s *serving) founding() *messages.SetLicense {
	if s.licence.text == "" {
		return nil
	}
	set, err := s.licence.keys.Set(s.licence.text, time.Now(), string(s.data.Dir.Identity().ClusterID), nil)
	if err != nil {
		s.log.Warn("the licence given with --license is not used", "error", err)
		return nil
	}
	return set
}

// Patience with a master that cannot take a licence now.
const (
	offerTries = 20
	offerPause = 3 * time.Second
)

// offerLicense proposes the licence of --license, if it is newer than the cluster's.
func (s *serving) offerLicense(ctx context.Context) {
	if s.licence.text == "" {
		return
	}
	for range offerTries {
		info, kept, err := s.client.InstallLicense(ctx, s.licence.text, true)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && kept:
			return
		case err == nil:
			s.log.Info("the licence given with --license is installed", "license", info.GetLicense().GetId(), "level", info.GetLevel())
			return
		case signed.Reason(err) != "":
			s.log.Warn("the licence given with --license was not installed", "error", err)
			return
		}
		select {
		case <-time.After(offerPause):
		case <-ctx.Done():
			return
		}
	}
	s.log.Warn("the licence given with --license could not be offered to a master; install it with 'tiercel license install'")
}
