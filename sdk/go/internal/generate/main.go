// Command generate writes the package api from the contract: its models, and the client of its
// simple operations. Run it by `go generate ./...` in sdk/go.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
	contract  = "../../openapi/openapi.sdk.json"
)

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate() error {
	text, err := os.ReadFile(contract)
	if err != nil {
		return err
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	name(document)
	folder, err := os.MkdirTemp("", "distributed-pool-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	text, err = json.Marshal(document)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "openapi.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	command := exec.Command("go", "run", generator,
		"-config", "internal/generate/oapi-codegen.yaml", file)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}

// name makes enumerations of the known values, so that they become constants. In Go, a string type
// with constants still takes every other value, such as the code of a newer member.
func name(node any) {
	switch node := node.(type) {
	case map[string]any:
		if known, ok := node["x-extensible-enum"]; ok {
			node["enum"] = known
		}
		for _, each := range node {
			name(each)
		}
	case []any:
		for _, each := range node {
			name(each)
		}
	}
}
