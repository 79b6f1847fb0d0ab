package admin

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"portico/backend"
)

// Programs read these rows: they stay as they are, byte for byte.
func TestRowsOfServersAndCopies(t *testing.T) {
	refused := errors.New("connection refused")
	for _, row := range []struct {
		of   any
		want string
	}{
		{serverRow(MailboxServer{Name: "mbx1", Policy: backend.Unrestricted, Active: 2}),
			`{"name":"mbx1","state":"up","up":true,"breaker_open":false,"policy":"Unrestricted","blocked":false,` +
				`"active":2}`},
		{serverRow(MailboxServer{Name: "mbx2", Answer: refused, CircuitOpen: true, Policy: backend.BlockedByPolicy,
			Queue: backend.SigninQueueState{Paused: 90 * time.Second, Waiting: 3},
			Blockers: []Blocker{{By: "operator", Who: "user root"},
				{By: "health", Monitor: "S/M/mbx2", Why: "it is Unhealthy"}}}),
			`{"name":"mbx2","state":"unknown","up":false,"error":"connection refused","breaker_open":true,` +
				`"policy":"Blocked","paused":90,"waiting":3,"blocked":true,"blocked_by":["operator","health"],` +
				`"blockers":[{"by":"operator","who":"user root"},{"by":"health","monitor":"S/M/mbx2",` +
				`"why":"it is Unhealthy"}],"active":0}`},
		{CopyRow(Copy{CopyState: backend.CopyState{Database: "db1", Server: "mbx1", Active: true}}),
			`{"database":"db1","server":"mbx1","status":"Mounted","active":true,"blocked":false}`},
		{CopyRow(Copy{CopyState: backend.CopyState{Database: "db1", Server: "mbx2", Blocked: true, Failed: "EIO"},
			Answer: refused, Barred: "blocked by operator"}),
			`{"database":"db1","server":"mbx2","status":"Failed","active":false,"failed":"EIO","blocked":true,` +
				`"barred":"blocked by operator","error":"connection refused"}`},
		{CopyRow(Copy{CopyState: backend.CopyState{Database: "db1", Server: "mbx3", Suspended: true}, Answer: refused}),
			`{"database":"db1","server":"mbx3","status":"FailedAndSuspended","active":false,"blocked":false,` +
				`"error":"connection refused"}`},
	} {
		if got, err := json.Marshal(row.of); err != nil || string(got) != row.want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, row.want)
		}
	}
}
