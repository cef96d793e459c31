// Command generate writes the package api from the contract: its models, and the client of its
// simple operations. Run it by `go generate ./...` in sdk/go.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
	contract  = "../../openapi/openapi.sdk.json"
	sumFile   = "api/schemas.sum"
)

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate() error {
	document, err := read()
	if err != nil {
		return err
	}
	sum, err := sumOf(document)
	if err != nil {
		return err
	}
	name(document)
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "distributed-pool-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "openapi.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	command := exec.Command("go", "run", generator,
		"-config", "internal/generate/oapi-codegen.yaml", file)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return err
	}
	return os.WriteFile(sumFile, []byte(sum), 0o666)
}

func read() (document map[string]any, err error) {
	text, err := os.ReadFile(contract)
	if err != nil {
		return nil, err
	}
	return document, json.Unmarshal(text, &document)
}

// sumOf is the hash of the schemas, from which the models come. A test compares it, because the
// generator is not there on every machine.
func sumOf(document map[string]any) (string, error) {
	components, _ := document["components"].(map[string]any)
	text, err := json.Marshal(components["schemas"])
	return fmt.Sprintf("sha256:%x\n", sha256.Sum256(text)), err
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
