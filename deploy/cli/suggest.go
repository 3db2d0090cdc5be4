package cli

import (
	"fmt"
	"strings"
)

// didYouMean is " (did you mean x?)" for the name that is most like what was given,
// or nothing.
func didYouMean(given string, names []string) string {
	best, least := "", 1+max(1, len(given)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(given), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		for _, n := range names {
			if len(given) > 2 && strings.HasPrefix(strings.ToLower(n), strings.ToLower(given)) {
				best = n
				break
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is how many letters have to be put in, taken out, changed or swapped with
// their neighbours to make b of a.
func distance(a, b string) int {
	var before, last, row []int
	row = make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
