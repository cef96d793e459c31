package dpool

import (
	"distributed-pool/sdk/go/api"
	"distributed-pool/sdk/go/internal/fault"
)

// Error is the one error type of this package. Find it with errors.As, and match its Code.
type Error = fault.Error

// Code is a stable code of an error. The constants of the package api, such as
// api.ErrorCodeMemberLost, are those that this version knows; Code.Valid tells them apart.
type Code = api.ErrorCode

// Admission says what is known of a child: whether a member started it.
type Admission = fault.Admission

// The values of Error.Admitted.
const (
	AdmissionNotSaid = fault.NotSaid
	NotAdmitted      = fault.NotAdmitted
	Admitted         = fault.Admitted
	AdmissionUnknown = fault.Unknown
)

// CodeOf is the code of the Error in err; empty where there is none, as for a cancelled context.
func CodeOf(err error) Code {
	if found := fault.Of(err); found != nil {
		return found.Code
	}
	return ""
}
