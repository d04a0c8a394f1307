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

// editDistance is Levenshtein's, over bytes, in two rows.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitute := diagonal
			if a[i-1] != b[j-1] {
				substitute++
			}
			diagonal = row[j]
			row[j] = min(substitute, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
