package route

import (
	"fmt"
	"regexp/syntax"
)

// maxExpression is how large a regular expression may be, in instructions. RE2, as Envoy
// has it, takes 53,000 of the largest (a \p{L} each), and with one more Envoy refuses all
// routes of the hostname.
const maxExpression = 10_000

// checkRegex parses a regular expression as Envoy would: Go's syntax is RE2's.
func checkRegex(field, pattern string) error {
	if pattern == "" {
		return fmt.Errorf("%s: an empty regular expression is not supported", field)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("%s: %q is not a valid RE2 regular expression: %w", field, pattern, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return fmt.Errorf("%s: %q is not a valid RE2 regular expression: %w", field, pattern, err)
	}
	if size := len(program.Inst); size > maxExpression {
		return fmt.Errorf("%s: the regular expression is too large: it has %d instructions, of at most %d", field, size, maxExpression)
	}
	return nil
}
