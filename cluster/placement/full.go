package placement

import "fmt"

// FullUpTo says which bound a disk that takes nothing new has met: the share that is
// configured (0: none), which can be raised, or else its reserve.
func FullUpTo(total, free uint64, readOnlyShare float64) string {
	if readOnlyShare > 0 && readOnlyShare < 1 && total > 0 {
		if used := 1 - float64(free)/float64(total); used >= readOnlyShare {
			return fmt.Sprintf("up to disk.read_only_used_share (%g)", readOnlyShare)
		}
	}
	return "up to the reserve"
}
