package bench

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// goodPlan returns a plan that can run, with its password file.
func goodPlan(t *testing.T) Plan {
	dir := t.TempDir()
	lay(t, dir, map[string]string{"pw": "secret\n"})
	return Plan{Target: []string{"127.0.0.1:143"}, Users: "u", PasswordFile: filepath.Join(dir, "pw")}
}

// TestUselessOptions: the tool refuses an option that would have no effect, and a value of 0 that would become the
// default.
func TestUselessOptions(t *testing.T) {
	number, rate, span := 0, 0.0, time.Duration(0)
	twice, five := 2.0, 5
	for says, change := range map[string]func(*Plan){
		"sessions 0": func(p *Plan) { p.Sessions = &number },
		"duration 0s: give a value above 0, or leave it out (default: 30s)": func(p *Plan) { p.Duration = &span },
		"timeout 0s": func(p *Plan) { p.Timeout = &span },
		"grace 0s":   func(p *Plan) { p.Grace = &span },
		"backlog 0":  func(p *Plan) { p.Backlog = &number },
		"rate 0":     func(p *Plan) { p.Rate = &rate },
		"speed 0":    func(p *Plan) { p.Replay, p.Speed = "x", &rate },
		"ramp 0s":    func(p *Plan) { p.Replay, p.Ramp = "x", &span },
		"ca has no effect: connections do not use TLS": func(p *Plan) { p.CA = "x" },
		"insecure has no effect":                       func(p *Plan) { p.Insecure = true },
		"server-name has no effect":                    func(p *Plan) { p.ServerName = "x" },
		"cert has no effect":                           func(p *Plan) { p.Cert = "x" },
		"tls-version has no effect":                    func(p *Plan) { p.TLSVersion = "1.3" },
		"tls-curve has no effect":                      func(p *Plan) { p.Curve = "X25519" },
		"key has no effect: there is no client":        func(p *Plan) { p.TLS, p.Key = TLSImplicit, "x" },
		"ca has no effect: insecure": func(p *Plan) {
			p.TLS, p.Insecure, p.CA = TLSImplicit, true, "x"
		},
		"needs TLS 1.3": func(p *Plan) {
			p.TLS, p.TLSVersion, p.Curve = TLSImplicit, "1.2", "X25519MLKEM768"
		},
		"password-file has no effect": func(p *Plan) { p.Mechanism = MechanismExternal },
		"backlog has no effect":       func(p *Plan) { p.Closed, p.Backlog = true, &five },
		"rate has no effect":          func(p *Plan) { p.Closed, p.Rate = true, &twice },
		"speed has no effect":         func(p *Plan) { p.Speed = &twice },
		"sessions has no effect":      func(p *Plan) { p.Replay, p.Sessions = "x", &five },
		"profile has no effect":       func(p *Plan) { p.Replay, p.Profile = "x", "noop" },
	} {
		p := goodPlan(t)
		change(&p)
		if _, err := p.Options(t.Context(), fixedNames{}, false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	p := goodPlan(t)
	if o, err := p.Options(t.Context(), fixedNames{}, false); err != nil || o.Profile.Name != "noop" {
		t.Errorf("%v", err)
	}
}

// TestWorkAgainst: a target of a comparison may do without the TLS of the work, and without its checks.
func TestWorkAgainst(t *testing.T) {
	none, no := TLSNone, false
	p := goodPlan(t)
	p.TLS, p.CA, p.TLSVersion, p.Insecure = TLSImplicit, "missing", "1.3", false
	plain := p.against(RivalEntry{Target: "127.0.0.1:1", TLS: &none})
	if err := plain.check(); err != nil || plain.TLS != TLSNone || plain.CA != "" {
		t.Errorf("%v, %+v", err, plain)
	}
	p.CA, p.Insecure = "", true
	if checked := p.against(RivalEntry{Target: "127.0.0.1:1", Insecure: &no}); checked.Insecure ||
		checked.TLS != TLSImplicit || checked.TLSVersion != "1.3" {
		t.Errorf("%+v", checked)
	}
}
