package edge_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// watchedBody notices that it is read.
type watchedBody struct {
	*bytes.Reader
	reads int
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.reads++
	return b.Reader.Read(p)
}

func TestClient_ATierThatIsNotLicensedIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0, func(o *actors.Options) { o.License = nil })
	byName := func(tier model.Tier) (*watchedBody, *model.PutRequest) {
		b := &watchedBody{Reader: bytes.NewReader(content(100))}
		return b, put("/models/a", content(100), func(r *model.PutRequest) { r.Tier, r.Body = tier, b })
	}
	for _, tier := range []model.Tier{model.TierCritical, model.TierImportant} {
		// Who cannot learn within two seconds what the licence says reads the body, and
		// refuses it afterwards.
		reads := -1
		for range 5 {
			body, req := byName(tier)
			_, err := n.Put(t.Context(), req)
			require.Equal(t, model.CodeLicenseDenied, model.CodeOf(err), "%v", err)
			if reads = body.reads; reads == 0 {
				break
			}
		}
		assert.Zero(t, reads)
	}
	r, err := n.Put(t.Context(), put("/models/a", content(100)))
	require.NoError(t, err, "by its path it goes on")
	assert.EqualValues(t, 1, r.Volumes[0].LicensedCopies, "and says so")
	_, err = n.Retier(t.Context(), &model.RetierRequest{Tenant: "default", Path: "/models/a", Tier: model.TierImportant})
	assert.Equal(t, model.CodeLicenseDenied, model.CodeOf(err))
	status := awaited(t, n.Status)
	assert.Equal(t, "free", status.License.Level)
	assert.Empty(t, status.License.Warnings, "one node is complete without a licence")

	text, err := signed.Develop(license.Enterprise, time.Now())
	require.NoError(t, err)
	info, kept, err := n.InstallLicense(t.Context(), text, false)
	require.NoError(t, err)
	assert.False(t, kept)
	assert.Equal(t, "enterprise", info.Level)
	_, req := byName(model.TierCritical)
	_, err = n.Put(t.Context(), req)
	require.NoError(t, err, "at once: nobody goes by what was before")
	_, kept, err = n.InstallLicense(t.Context(), text, true)
	require.NoError(t, err)
	assert.True(t, kept, "it is no newer than itself")

	short := installThatEnds(t, n)
	require.Eventually(t, func() bool {
		_, req := byName(model.TierCritical)
		_, err := n.Put(t.Context(), req)
		return model.CodeOf(err) == model.CodeLicenseDenied
	}, short+time.Minute, 50*time.Millisecond, "what the client remembers grants nothing: apply judges")
	copied, err := n.Copy(t.Context(), "default", "/models/a", "/models/b", false)
	require.NoError(t, err, "to copy a file is not to ask for its tier")
	assert.Zero(t, copied.Row.TierAsked)
	assert.Equal(t, content(100), n.read(t, "/models/b"))
	_, err = n.Delete(t.Context(), "default", "/models/a", nil)
	assert.NoError(t, err)
}

// installThatEnds installs a licence that ends soon, and says how soon: not before it has
// arrived.
func installThatEnds(t *testing.T, n *node) time.Duration {
	t.Helper()
	for short := 2 * time.Second; ; short *= 2 {
		text, err := signed.Issue(signed.Licence{ID: "l", Customer: "c", Level: license.Enterprise, Issued: time.Now(), Expires: time.Now().Add(short)}, signed.DevelopmentKey())
		require.NoError(t, err)
		if _, _, err = n.InstallLicense(t.Context(), text, false); err == nil {
			return short
		}
		require.ErrorContains(t, err, "expired")
		require.Less(t, short, time.Minute)
	}
}

// The whole way from what a request names to the entry of the log that is judged by it.
func TestClient_ASettingThatIsNamedIsJudgedByTheLicenceEvenWhereItIsSetAlready(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0, func(o *actors.Options) {
		o.License = nil
		o.Settings = actors.DefaultSettings()
	})
	now := func() *messages.ClusterStatusReply {
		return awaited(t, n.Cluster)
	}
	s := now().Cluster.Settings
	require.True(t, s.AutoRebalance, "by default")
	assert.Equal(t, "free", now().License.Level)
	_, err := n.ChangeSettings(t.Context(), s, s.Version, true)
	assert.Equal(t, model.CodeLicenseDenied, model.CodeOf(err), "%v", err)
	_, err = n.ChangeSettings(t.Context(), s, s.Version, false)
	require.NoError(t, err)

	text, err := signed.Develop(license.Enterprise, time.Now())
	require.NoError(t, err)
	_, _, err = n.InstallLicense(t.Context(), text, false)
	require.NoError(t, err)
	tier := &messages.TierRow{Tier: 2, Copies: 2, DiskPreference: "ssd"}
	_, err = n.ChangeTier(t.Context(), &messages.SetTier{Tier: tier, CopiesAsked: true, DiskAsked: true})
	require.NoError(t, err)
	lower, err := signed.Develop(license.Free, time.Now())
	require.NoError(t, err)
	_, _, err = n.InstallLicense(t.Context(), lower, false)
	require.NoError(t, err)
	for _, set := range []*messages.SetTier{{Tier: tier, CopiesAsked: true}, {Tier: tier, DiskAsked: true}} {
		_, err = n.ChangeTier(t.Context(), set)
		assert.Equal(t, model.CodeLicenseDenied, model.CodeOf(err), "%v: %v", set, err)
	}
	_, err = n.ChangeTier(t.Context(), &messages.SetTier{Tier: tier})
	require.NoError(t, err)
}
