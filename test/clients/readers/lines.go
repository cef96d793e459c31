// Prints the data lines of a stream of events, by the default reader of lines.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	answer, err := http.Post(os.Args[1], "application/json", strings.NewReader(os.Args[2]))
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if data, isData := strings.CutPrefix(lines.Text(), "data: "); isData {
			fmt.Println(data)
		}
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}
