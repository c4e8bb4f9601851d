package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommittedDefinitionsAreThoseThatAreShipped(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no definitions: %v", err)
	}
	for _, file := range files {
		plural := strings.TrimSuffix(filepath.Base(file), ".yaml")
		want, err := generate(plural)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is shipped; run go generate ./ingest/internal/manifests", file)
		}
	}
}

func TestDescriptionsGoAndFieldsNamedDescriptionStay(t *testing.T) {
	schema := map[string]any{
		"description": "gone",
		"properties": map[string]any{
			"description": map[string]any{"type": "string", "description": "gone too"},
		},
		"anyOf": []any{map[string]any{"description": "gone as well"}},
	}
	stripDescriptions(schema)
	field, ok := schema["properties"].(map[string]any)["description"].(map[string]any)
	if !ok || field["type"] != "string" {
		t.Fatalf("the field named description is gone: %v", schema)
	}
	if len(field) != 1 || schema["description"] != nil || len(schema["anyOf"].([]any)[0].(map[string]any)) != 0 {
		t.Errorf("a description is left: %v", schema)
	}
}
