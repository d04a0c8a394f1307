package volumes

import "tiercel/messages"

// Holders are the workers whose own word about their copies decides something: the
// members of open volumes, and those of sealed ones that are not known to be whole.
func Holders(rows []*messages.VolumeRow) map[string]bool {
	out := make(map[string]bool)
	for _, row := range rows {
		for _, m := range row.Members {
			if row.State == messages.VolumeState_OPEN || row.State == messages.VolumeState_SEALED && !m.Verified {
				out[m.Node] = true
			}
		}
	}
	return out
}
