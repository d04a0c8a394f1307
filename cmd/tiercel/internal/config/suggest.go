package config

import "strings"

// Nearest returns the candidate closest to word by edit distance, or "" when
// none is close enough to be what was meant. Ties go to the earlier one.
func Nearest(word string, candidates []string) string {
	normal := strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(word))
	best, bestDistance := "", 3 // more than two slips is another word
	if len(normal) <= 3 {
		bestDistance = 2
	}
	for _, c := range candidates {
		if d := editDistance(normal, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best != "" {
		return best
	}
	// "heartbeat" for "heartbeat-interval": a whole word of the name.
	for _, c := range candidates {
		if len(normal) >= 4 && (strings.HasPrefix(c, normal+"-") || strings.HasSuffix(c, "-"+normal) || strings.HasPrefix(normal, c+"-")) {
			return c
		}
	}
	return ""
}

func suggest(word string, candidates []string, render func(string) string) string {
	near := Nearest(word, candidates)
	if near == "" {
		return ""
	}
	if render != nil {
		near = render(near)
	}
	return "; did you mean " + near + "?"
}

// editDistance is the number of slips between a and b, over bytes: a character too
// many, one too few, a wrong one, or two in the wrong order.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitute := last[j-1]
			if a[i-1] != b[j-1] {
				substitute++
			}
			row[j] = min(substitute, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
