package suite

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/yaml"
)

// date is the one line of a report that is another one each time.
var date = regexp.MustCompile(`(?m)^date: .*$`)

// inOrder is a report with its profiles in the order of their names: the suite writes
// them in the order of a map.
func inOrder(report []byte) ([]byte, error) {
	var content map[string]any
	if err := yaml.Unmarshal(report, &content); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	profiles, _ := content["profiles"].([]any)
	name := func(profile any) string {
		fields, _ := profile.(map[string]any)
		return fmt.Sprint(fields["name"])
	}
	slices.SortFunc(profiles, func(a, b any) int { return strings.Compare(name(a), name(b)) })
	return yaml.Marshal(content)
}

// compareReports returns how two reports differ, apart from their dates: nothing, or
// the lines that only one of them has.
func compareReports(committed, found []byte) string {
	before, after := lines(committed), lines(found)
	var result strings.Builder
	for _, line := range only(before, after) {
		fmt.Fprintf(&result, "- %s\n", line)
	}
	for _, line := range only(after, before) {
		fmt.Fprintf(&result, "+ %s\n", line)
	}
	if result.Len() == 0 && strings.Join(before, "\n") != strings.Join(after, "\n") {
		return "the same lines in another order\n"
	}
	return result.String()
}

func lines(report []byte) []string {
	return strings.Split(date.ReplaceAllString(string(report), "date: any"), "\n")
}

// only are the lines of one that the other has not, or not as often.
func only(one, other []string) []string {
	counts := make(map[string]int)
	for _, line := range other {
		counts[line]++
	}
	var result []string
	for _, line := range one {
		if counts[line]--; counts[line] < 0 {
			result = append(result, line)
		}
	}
	return result
}

// summarize says in a line for each profile how it went.
func summarize(report []byte) (string, error) {
	var parsed confv1.ConformanceReport
	if err := yaml.Unmarshal(report, &parsed); err != nil {
		return "", fmt.Errorf("read the report: %w", err)
	}
	var result strings.Builder
	for _, profile := range parsed.ProfileReports {
		passed, failed := profile.Core.Statistics.Passed, profile.Core.Statistics.Failed
		if extended := profile.Extended; extended != nil {
			passed, failed = passed+extended.Statistics.Passed, failed+extended.Statistics.Failed
		}
		fmt.Fprintf(&result, "%s, %s channel: %d passed, %d failed. %s\n", profile.Name, parsed.GatewayAPIChannel, passed, failed, profile.Summary)
	}
	return result.String(), nil
}

// chartVersion is the version of Rutter that a chart installs, which the report names.
func chartVersion(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var chart struct {
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(content, &chart); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if chart.AppVersion == "" {
		return "", fmt.Errorf("%s has no appVersion", path)
	}
	return "v" + strings.TrimPrefix(chart.AppVersion, "v"), nil
}
