package main

import (
	"os"
	"testing"
)

func TestThePackageIsThatOfTheContract(t *testing.T) {
	if err := os.Chdir("../.."); err != nil {
		t.Fatal(err)
	}
	document, err := read()
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := sumOf(document)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(sumFile); err != nil || string(got) != wanted {
		t.Fatalf("the contract has changed: run `go generate ./...` in sdk/go (%v)", err)
	}
}
