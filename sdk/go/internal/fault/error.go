// Package fault has the one error type of the SDK.
package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"distributed-pool/sdk/go/api"
)

// Admission says what is known of a child: whether a member started it.
type Admission string

const (
	// NotSaid is the value of an error that says nothing about a child.
	NotSaid Admission = ""
	// NotAdmitted says that certainly nothing was run.
	NotAdmitted Admission = "false"
	// Admitted says that a member started the child.
	Admitted Admission = "true"
	// Unknown says that the answer was lost, so the child may run.
	Unknown Admission = "unknown"
)

// UnmarshalJSON reads false, true or "unknown".
func (a *Admission) UnmarshalJSON(text []byte) error {
	*a = Admission(strings.Trim(string(text), `"`))
	return nil
}

// Error is the one error type of the SDK: a problem that ended a request or a child. Match its
// Code; Detail is for people. A cancelled context is no such error: calls then return the
// context's cause.
//
//	var failure *dpool.Error
//	if errors.As(err, &failure) && failure.Code == "function_threw" {
//		fmt.Println(failure.Remote.Name)
//	}
type Error struct {
	// Code is stable. A newer member may send a code that this version does not know.
	Code api.ErrorCode `json:"code"`
	// Status is the HTTP status that belongs to the code.
	Status int `json:"status"`
	Title  string
	Detail string
	// Admitted says whether a member started the child, where it is known.
	Admitted Admission
	// Fields names the fields at fault, of invalid_request.
	Fields []api.InvalidField
	// Load is that of the member that refused.
	Load *api.Load `json:"-"`
	// Remote is the error that the function threw, of function_threw.
	Remote *api.FunctionError `json:"error"`

	// RetryAfter is the time that the member asked for before the same request comes again.
	RetryAfter time.Duration `json:"-"`
	// Child is the child of the call, once it was placed.
	Child *api.ChildReference `json:"-"`
	// ExitCode, Usage and Artifacts are those of a child that failed, where it left them.
	ExitCode  *int32         `json:"-"`
	Usage     *api.Usage     `json:"-"`
	Artifacts []api.Artifact `json:"-"`
	// Stdout and Stderr are the output of a Run up to the failure.
	Stdout, Stderr []byte `json:"-"`
	// Truncated says that the child of a Run wrote more than is kept.
	Truncated bool `json:"-"`
	// Index is the position of the input whose call ended a Map, from 0 on.
	Index int `json:"-"`

	cause error
}

// Error is the code, a colon, and the detail.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Unwrap is the error behind this one, such as that of a connection.
func (e *Error) Unwrap() error { return e.cause }

// Retryable says that nothing was run, so the caller may make the same call again after a pause.
// It is false for a code that this version does not know, unless the problem says it. The status of
// an answer does not count: a proxy may have changed it.
func (e *Error) Retryable() bool {
	if e.Admitted != NotSaid {
		return e.Admitted == NotAdmitted
	}
	switch statuses[e.Code] {
	case 408, 429, 503:
		return true
	}
	return false
}

// New makes an error of this code. The detail says what was expected and what came.
func New(code api.ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Status: statuses[code], Detail: fmt.Sprintf(format, args...)}
}

// By notes the error behind this one.
func (e *Error) By(cause error) *Error {
	e.cause = cause
	return e
}

// With notes what is known of the child.
func (e *Error) With(admitted Admission) *Error {
	e.Admitted = admitted
	return e
}

// Copy is the same error, to be changed.
func (e *Error) Copy() *Error {
	copied := *e
	return &copied
}

// Of is the Error in err, or nil.
func Of(err error) *Error {
	var found *Error
	errors.As(err, &found)
	return found
}

// Parse reads a problem of the contract. It reports false for other JSON.
func Parse(body []byte) (*Error, bool) {
	var problem struct {
		Error
		Type *string
		Load json.RawMessage
	}
	if json.Unmarshal(body, &problem) != nil || problem.Code == "" || problem.Type == nil {
		return nil, false
	}
	// A load that makes no sense does not hide the problem.
	if json.Unmarshal(problem.Load, &problem.Error.Load) != nil {
		problem.Error.Load = nil
	}
	return &problem.Error, true
}
