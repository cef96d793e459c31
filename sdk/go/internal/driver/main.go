// Command driver runs operations of the conformance suite: one JSON object a line in, one out.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"

	"distributed-pool/sdk/go/dpool"
)

// maxLine is 64 MiB: a longer line is no operation of the suite.
const maxLine = 64 << 20

type operation struct {
	ID   json.RawMessage `json:"id"`
	Op   string          `json:"op"`
	Args arguments       `json:"args"`
}

type answer struct {
	ID    json.RawMessage `json:"id"`
	Value any             `json:"value"`
}

type refusal struct {
	ID    json.RawMessage `json:"id"`
	Error object          `json:"error"`
}

type object map[string]any

func main() {
	driver := &driver{stdout: &output{}, stderr: &output{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var next operation
		err := json.Unmarshal(lines.Bytes(), &next)
		var value any
		if err == nil {
			value, err = driver.do(context.Background(), next.Op, next.Args)
		}
		if err != nil {
			described := describe(err)
			if failure := new(dpool.Error); next.Op == "map" && errors.As(err, &failure) {
				described["index"] = failure.Index
			}
			write(refusal{next.ID, described})
		} else {
			write(answer{next.ID, value})
		}
	}
}

// write writes one line in ASCII.
func write(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		text, _ = json.Marshal(refusal{Error: object{"code": "crash", "detail": err.Error()}})
	}
	var line bytes.Buffer
	for _, char := range string(text) {
		switch {
		case char < 0x80:
			line.WriteRune(char)
		case char < 0x10000:
			writeUnit(&line, char)
		default:
			writeUnit(&line, 0xd800+(char-0x10000)>>10)
			writeUnit(&line, 0xdc00+(char-0x10000)&0x3ff)
		}
	}
	line.WriteByte('\n')
	_, _ = os.Stdout.Write(line.Bytes())
}

func writeUnit(line *bytes.Buffer, unit rune) {
	const digits = "0123456789abcdef"
	line.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		line.WriteByte(digits[unit>>shift&15])
	}
}

// describe is an error as the suite has it.
func describe(err error) object {
	var failure *dpool.Error
	if !errors.As(err, &failure) {
		code := "crash"
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			code = "cancelled"
		}
		if errors.Is(err, errUnsupported) {
			code = "unsupported"
		}
		return object{"code": code, "detail": err.Error()}
	}
	described := object{"code": failure.Code, "detail": failure.Detail}
	switch failure.Admitted {
	case dpool.Admitted, dpool.NotAdmitted:
		described["admitted"] = failure.Admitted == dpool.Admitted
	case dpool.AdmissionUnknown:
		described["admitted"] = "unknown"
	case dpool.AdmissionNotSaid:
		if failure.Retryable() {
			described["admitted"] = false
		}
	}
	if failure.Status > 0 {
		described["status"] = failure.Status
	}
	if failure.Remote != nil {
		described["error"] = object{"name": failure.Remote.Name, "message": failure.Remote.Message}
	}
	if failure.RetryAfter > 0 {
		described["retryAfterMs"] = failure.RetryAfter.Milliseconds()
	}
	if failure.Child != nil {
		described["child"] = failure.Child.Id
		described["stdout"], described["stderr"] = string(failure.Stdout), string(failure.Stderr)
	}
	if failure.ExitCode != nil {
		described["exitCode"] = *failure.ExitCode
	}
	return described
}
