package process_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryMetricIsExplained holds docs/operations.md against the source: the same metrics
// with the same labels, and none that there is one of per route.
func TestEveryMetricIsExplained(t *testing.T) {
	root := filepath.Join("..", "..")
	made := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "conformance" || strings.HasPrefix(entry.Name(), ".git")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		found, err := metricsOf(path, nil)
		for _, metric := range found {
			made[metric] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	explained := explainedIn(string(page))
	for metric := range made {
		if !explained[metric] {
			t.Errorf("docs/operations.md does not explain %s", metric)
		}
		_, labels, _ := strings.Cut(strings.TrimSuffix(metric, "}"), "{")
		for label := range strings.SplitSeq(labels, ",") {
			if slices.Contains([]string{"route", "host", "hostname", "namespace", "name", "object"}, label) {
				t.Errorf("%s: there is one for each route", metric)
			}
		}
	}
	for metric := range explained {
		if !made[metric] {
			t.Errorf("docs/operations.md explains %s, and there is none", metric)
		}
	}
	if len(made) < 40 {
		t.Errorf("found %d metrics only", len(made))
	}
}

// explainedIn are the metrics of the table under "Metrics" that it says something of.
func explainedIn(page string) map[string]bool {
	explained := map[string]bool{}
	_, table, _ := strings.Cut(page, "\n## Metrics\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) != 5 || strings.TrimSpace(cells[3]) == "" {
			continue
		}
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				explained[name] = true
			}
		}
	}
	return explained
}

// metricsOf are the metrics that a Go file makes, as name{label,label}.
func metricsOf(path string, src any) (found []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for node := range ast.Preorder(file) {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			continue
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || len(call.Args) == 0 {
			continue
		}
		if from, ok := function.X.(*ast.Ident); ok && from.Name == "process" && function.Sel.Name == "NewLag" {
			for _, unit := range []string{"messages", "seconds"} {
				found = append(found, fmt.Sprintf("rutter_%s_lag_%s{stream}", text(call.Args[1]), unit))
			}
		}
		if name := nameIn(call.Args[0]); name != "" {
			if labels := append(constantIn(call.Args[0]), textsIn(call.Args[1:])...); len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			found = append(found, name)
		}
	}
	return found, nil
}

// nameIn is the name in the options of a metric; "" where an expression is no such thing,
// or the name is made up by the caller (NewLag).
func nameIn(options ast.Expr) string { return text(fieldOf(options, "Name")) }

// constantIn are the labels in the options of a metric.
func constantIn(options ast.Expr) (out []string) {
	if labels, ok := fieldOf(options, "ConstLabels").(*ast.CompositeLit); ok {
		for _, element := range labels.Elts {
			if label, ok := element.(*ast.KeyValueExpr); ok {
				out = append(out, text(label.Key))
			}
		}
	}
	return out
}

func fieldOf(options ast.Expr, name string) ast.Expr {
	literal, ok := options.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	if kind, ok := literal.Type.(*ast.SelectorExpr); !ok || !strings.HasSuffix(kind.Sel.Name, "Opts") {
		return nil
	}
	for _, element := range literal.Elts {
		if field, ok := element.(*ast.KeyValueExpr); ok && fmt.Sprint(field.Key) == name {
			return field.Value
		}
	}
	return nil
}

// textsIn are the elements of a list of texts, which is the last of some arguments.
func textsIn(arguments []ast.Expr) (out []string) {
	for _, argument := range arguments {
		if list, ok := argument.(*ast.CompositeLit); ok {
			for _, element := range list.Elts {
				out = append(out, text(element))
			}
		}
	}
	return out
}

func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	unquoted, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return unquoted
}

func TestMetricsAreFoundInASource(t *testing.T) {
	const source = `package p
var a = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rutter_a_total", Help: "h"}, []string{"type", "result"})
var b = prometheus.NewGauge(prometheus.GaugeOpts{Help: "h", Name: "rutter_b"})
var c, _ = process.NewLag(r, "c")
var e = prometheus.NewGauge(prometheus.GaugeOpts{Name: "rutter_e", ConstLabels: prometheus.Labels{"version": "v"}})
var d = pki.Request{Name: "no"}`
	got, err := metricsOf("p.go", source)
	if want := []string{"rutter_a_total{type,result}", "rutter_b", "rutter_c_lag_messages{stream}", "rutter_c_lag_seconds{stream}", "rutter_e{version}"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
