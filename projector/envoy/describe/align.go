package describe

// align pairs the elements of two lists: first those with the same first key,
// then, of what is left, those with the same second key, and so on; equal keys
// pair up in order. It calls pair with the two indices, -1 for none: in the order
// of b, each preceded by what is only in a and stood ahead of its partner.
func align[T any](a, b []T, pair func(i, j int), keys ...func(T) string) {
	ofA, ofB := make([]int, len(a)), make([]int, len(b)) // partners, -1 for none yet
	for i := range ofA {
		ofA[i] = -1
	}
	for j := range ofB {
		ofB[j] = -1
	}
	for _, key := range keys {
		free := map[string][]int{}
		for i := range a {
			if ofA[i] < 0 {
				free[key(a[i])] = append(free[key(a[i])], i)
			}
		}
		for j := range b {
			if candidates := free[key(b[j])]; ofB[j] < 0 && len(candidates) > 0 {
				ofA[candidates[0]], ofB[j] = j, candidates[0]
				free[key(b[j])] = candidates[1:]
			}
		}
	}
	next := 0
	gone := func(until int) {
		for ; next < until; next++ {
			if ofA[next] < 0 {
				pair(next, -1)
			}
		}
	}
	for j := range b {
		gone(ofB[j])
		pair(ofB[j], j)
	}
	gone(len(a))
}
