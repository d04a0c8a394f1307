package archive_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/archive"
	"tiercel/messages"
)

func TestIdentical_OnlyTheSameSizeAndChecksumOfAWholeContent(t *testing.T) {
	row := &messages.FileRow{SizeBytes: 100, Crc32C: 7}
	assert.True(t, archive.Identical(row, 100, 7, 1))
	assert.True(t, archive.Identical(row, 100, 7, 0))
	assert.False(t, archive.Identical(nil, 100, 7, 1), "nothing lies at the path: it was deleted or renamed")
	assert.False(t, archive.Identical(row, 99, 7, 1))
	assert.False(t, archive.Identical(row, 100, 8, 1))
	assert.False(t, archive.Identical(row, 100, 7, 2), "a part of something larger")
}
