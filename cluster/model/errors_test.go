package model_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestCodeOf_FindsTheFirstCodeInTheChain(t *testing.T) {
	inner := model.Errorf(model.CodeCorrupt, "read", "bad crc")
	for _, c := range []struct {
		name string
		err  error
		want model.Code
	}{
		{"no error", nil, ""},
		{"an error without a code", io.EOF, model.CodeInternal},
		{"a coded one", inner, model.CodeCorrupt},
		{"a wrapped one", fmt.Errorf("get: %w", inner), model.CodeCorrupt},
		{"an outer code hides the inner", model.Errorf(model.CodeUnavailable, "get", "no copy: %w", inner), model.CodeUnavailable},
		{"one of several", errors.Join(io.EOF, inner), model.CodeCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, model.CodeOf(c.err)) })
	}
}

func TestErrorf_KeepsTheCauseForThoseWhoAsk(t *testing.T) {
	err := model.Errorf(model.CodeUnavailable, "put", "volume %d is away: %w", 7, io.ErrClosedPipe)
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	assert.Equal(t, io.ErrClosedPipe, err.Err)
	assert.Nil(t, model.Errorf(model.CodeNotFound, "get", "no such file").Err)
}

func TestError_ReadsAsOneLineWithOpMessageAndCode(t *testing.T) {
	assert.Equal(t, "get: no such file (not_found)", model.Errorf(model.CodeNotFound, "get", "no such file").Error())
	assert.Equal(t, "no such file (not_found)", model.Errorf(model.CodeNotFound, "", "no such file").Error())
	assert.Equal(t, "get: no copy: EOF (unavailable)", model.Errorf(model.CodeUnavailable, "get", "no copy: %w", io.EOF).Error())
	withCause := &model.Error{Code: model.CodeInternal, Op: "sync", Message: "the disk refuses", Err: io.ErrShortWrite}
	assert.Equal(t, "sync: the disk refuses (internal): short write", withCause.Error())
}

func TestError_WithAddsDetailsForPrograms(t *testing.T) {
	err := model.Errorf(model.CodeQuotaExceeded, "put", "no room").With("tenant", "a").With("limit", "1")
	require.Equal(t, map[string]string{"tenant": "a", "limit": "1"}, err.Details)
}

func TestCodes_AreDistinctAndStayInsideTheCluster(t *testing.T) {
	seen := make(map[model.Code]bool)
	for _, code := range model.Codes {
		assert.False(t, seen[code], "%s is listed twice", code)
		seen[code] = true
	}
	assert.False(t, seen[model.CodeVolumeSealed], "clients never meet volume_sealed")
}
