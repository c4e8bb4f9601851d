package suite

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/yaml"
)

// compareReports returns how two reports differ, apart from their dates and the order
// of their profiles, which are others each time: nothing, or the lines that only one of
// them has.
func compareReports(committed, found []byte) (string, error) {
	before, err := undated(committed)
	if err != nil {
		return "", fmt.Errorf("the committed report: %w", err)
	}
	after, err := undated(found)
	if err != nil {
		return "", fmt.Errorf("the report: %w", err)
	}
	var result strings.Builder
	for _, line := range only(before, after) {
		fmt.Fprintf(&result, "- %s\n", line)
	}
	for _, line := range only(after, before) {
		fmt.Fprintf(&result, "+ %s\n", line)
	}
	if result.Len() == 0 && !slices.Equal(before, after) {
		return "the same lines in another order\n", nil
	}
	return result.String(), nil
}

// sorted returns a report with its profiles in the order of their names.
func sorted(report []byte) (confv1.ConformanceReport, error) {
	var parsed confv1.ConformanceReport
	if err := yaml.UnmarshalStrict(report, &parsed); err != nil {
		return parsed, fmt.Errorf("read the report: %w", err)
	}
	slices.SortFunc(parsed.ProfileReports, func(a, b confv1.ProfileReport) int { return cmp.Compare(a.Name, b.Name) })
	return parsed, nil
}

// inOrder is a report as it is kept.
func inOrder(report []byte) ([]byte, error) {
	parsed, err := sorted(report)
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(parsed)
}

// undated are the lines of a report, without its date.
func undated(report []byte) ([]string, error) {
	parsed, err := sorted(report)
	if err != nil {
		return nil, err
	}
	parsed.Date = ""
	encoded, err := yaml.Marshal(parsed)
	return strings.Split(string(encoded), "\n"), err
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
	parsed, err := sorted(report)
	if err != nil {
		return "", err
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
