package admin

import (
	"reflect"
	"testing"
	"time"

	"portico/proxy/relay"
)

// canaryOf returns a canary whose side has commands that took a time, and others that failed.
func canaryOf(name, server string, took time.Duration, commands int, errors uint64) Canary {
	h := new(relay.Histogram)
	for range commands {
		h.Observe(int64(took))
	}
	return Canary{Name: name, Database: "db1", Server: server, Percent: 5, Arms: []CanaryArm{
		{Servers: []string{server}, Sessions: 2, SignIns: 5, Refused: map[string]uint64{"full": 1},
			Verbs: []CanaryVerb{NewCanaryVerb("FETCH", h, errors)}},
		{Servers: []string{"mbx1"}, Verbs: []CanaryVerb{}}}}
}

// The figures of several nodes are added up, and percentiles are those of all commands together. A canary of which one
// node alone knows is there too, and one on another server is another one.
func TestMergeCanaries(t *testing.T) {
	slow := canaryOf("v2", "mbx2", time.Second, 100, 3)
	slow.Arms[0].Verbs = append(slow.Arms[0].Verbs, CanaryVerb{Verb: "NOOP", Buckets: []StatsBucket{{-20, 7}}})
	merged := MergeCanaries([][]Canary{{canaryOf("v2", "mbx2", time.Millisecond, 900, 7)},
		{slow, canaryOf("v3", "mbx3", time.Second, 1, 0)}, {}, {canaryOf("v2", "mbx4", time.Second, 1, 0)}})
	if len(merged) != 3 {
		t.Fatalf("%+v", merged)
	}
	arm := merged[0].Arms[0]
	if arm.Sessions != 4 || arm.SignIns != 10 || arm.RefusedSignIns() != 2 || len(arm.Verbs) != 2 ||
		len(merged[0].Arms[1].Verbs) != 0 || !reflect.DeepEqual(arm.Servers, []string{"mbx2"}) {
		t.Errorf("%+v", merged[0])
	}
	if v := arm.Verbs[0]; v.Verb != "FETCH" || v.Commands != 1000 || v.Errors != 10 || v.P50 > 0.0012 || v.P95 < 0.8 ||
		v.Buckets != nil {
		t.Errorf("%+v", v)
	}
	if v := arm.Verbs[1]; v.Verb != "NOOP" || v.Commands != 7 {
		t.Errorf("%+v", v)
	}
	if one := merged[1].Arms[0].Verbs[0]; one.Commands != 1 || one.Buckets != nil {
		t.Errorf("%+v", one)
	}
}
