package bench

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"portico/backend/secret"
)

// Plan is a run as users write it, in flags or in a file. What is not given, nil or zero, has a default.
type Plan struct {
	Target     []string `yaml:"target"` // host:port
	TLS        TLSMode  `yaml:"tls"`
	CA         string   `yaml:"ca"`          // PEM file; the system's by default
	Insecure   bool     `yaml:"insecure"`    // certificates are not verified
	ServerName string   `yaml:"server_name"` // name that certificates must have; the target's host by default
	// PEM file with the client's certificate; {user} in the file name stands for the user
	Cert         string         `yaml:"cert"`
	Key          string         `yaml:"key"`         // PEM file with its key, likewise; the same file by default
	TLSVersion   string         `yaml:"tls_version"` // only 1.2 or 1.3; the best version of both sides by default
	Curve        string         `yaml:"tls_curve"`   // only X25519, P256 or X25519MLKEM768
	Users        string         `yaml:"users"`       // a name, or a pattern: see ParseUsers
	PasswordFile string         `yaml:"password_file"`
	Mechanism    Mechanism      `yaml:"mechanism"`
	ID           bool           `yaml:"id"`
	Compress     bool           `yaml:"compress"`
	Profile      string         `yaml:"profile"`
	Replay       string         `yaml:"replay"` // a recording, instead of a profile
	Speed        *float64       `yaml:"speed"`  // of a replay
	Verify       Verify         `yaml:"verify"`
	Sessions     *int           `yaml:"sessions"`
	Closed       bool           `yaml:"closed"`
	Rate         *float64       `yaml:"rate"`
	Duration     *time.Duration `yaml:"duration"`
	Ramp         *time.Duration `yaml:"ramp"`
	WarmUp       time.Duration  `yaml:"warmup"`
	Timeout      *time.Duration `yaml:"timeout"`
	Grace        *time.Duration `yaml:"grace"`
	Backlog      *int           `yaml:"backlog"`
	Source       []string       `yaml:"source"` // addresses
	Seed         uint64         `yaml:"seed"`
	PIDs         []int          `yaml:"pid"`
	PIDFile      string         `yaml:"pid_file"`
	Units        []string       `yaml:"unit"`
	FailIf       []string       `yaml:"fail_if"` // see ParseCondition
}

// ComparePlan is a comparison as users write it.
type ComparePlan struct {
	Rounds  int          `yaml:"rounds"`
	Base    string       `yaml:"base"` // the target that ratios refer to; the first one by default
	Work    Plan         `yaml:"work"` // the same for all
	Targets []RivalEntry `yaml:"targets"`
}

// RivalEntry is one target of a comparison, with the settings that may differ between targets.
type RivalEntry struct {
	Name       string   `yaml:"name"`
	Target     string   `yaml:"target"`
	TLS        *TLSMode `yaml:"tls"` // nil is that of the work
	CA         string   `yaml:"ca"`
	Insecure   *bool    `yaml:"insecure"` // nil is that of the work
	ServerName string   `yaml:"server_name"`
	PIDs       []int    `yaml:"pid"`
	PIDFile    string   `yaml:"pid_file"`
	Unit       string   `yaml:"unit"`
}

// defaultProfile is what sessions do by default.
const defaultProfile = "noop"

// Options turns a plan into options. It reads files and looks up names, and refuses targets beyond loopback unless
// allowRemote is set.
func (p *Plan) Options(ctx context.Context, r Resolver, allowRemote bool) (Options, error) {
	o := Options{
		TLS: p.TLS, Mechanism: p.Mechanism, ID: p.ID, Compress: p.Compress, Verify: p.Verify,
		Sessions: orDefault(p.Sessions), Closed: p.Closed, Rate: orDefault(p.Rate), Backlog: orDefault(p.Backlog),
		Speed: orDefault(p.Speed), Seed: p.Seed,
		Duration: orDefault(p.Duration), Ramp: orDefault(p.Ramp), WarmUp: p.WarmUp, Timeout: orDefault(p.Timeout),
		Grace: orDefault(p.Grace),
	}
	err := p.check()
	if err != nil {
		return o, err
	}
	if o.FailIf, err = ParseConditions(p.FailIf); err != nil {
		return o, err
	}
	for _, name := range p.Target {
		target, err := Resolve(ctx, r, name, allowRemote)
		if err != nil {
			return o, err
		}
		o.Targets = append(o.Targets, target)
	}
	if err := secret.CheckHostPort(p.ServerName); err != nil {
		return o, fmt.Errorf("server name: %w", err)
	}
	for _, text := range p.Source {
		if err := secret.CheckHostPort(text); err != nil {
			return o, fmt.Errorf("source: %w", err)
		}
		source, err := netip.ParseAddr(text)
		if err != nil {
			return o, fmt.Errorf("source: %w", err)
		}
		o.Sources = append(o.Sources, source.Unmap())
	}
	if o.Users, err = p.users(); err != nil {
		return o, err
	}
	if p.Replay != "" {
		o.Profile, err = LoadReplay(p.Replay)
	} else {
		o.Profile, err = LoadProfile(cmp.Or(p.Profile, defaultProfile))
	}
	if err != nil {
		return o, err
	}
	if o.TLSConfig, err = p.tlsConfig(); err != nil {
		return o, err
	}
	o.Account, err = p.account()
	return o, err
}

// users returns the users with their credentials.
func (p *Plan) users() ([]User, error) {
	names, err := ParseUsers(p.Users)
	if err != nil {
		return nil, err
	}
	var users []User
	switch {
	case p.PasswordFile != "":
		if users, err = ReadPasswords(p.PasswordFile, names); err != nil {
			return nil, err
		}
	case p.Mechanism != MechanismExternal:
		return nil, fmt.Errorf("no password file is given: every mechanism but external needs one")
	default:
		for _, name := range names {
			users = append(users, User{Name: name})
		}
	}
	return users, p.giveCertificates(users)
}

// ofUser is the placeholder for the user's name in the names of certificate files.
const ofUser = "{user}"

// giveCertificates reads the certificates that clients present, and sets them in the users.
func (p *Plan) giveCertificates(users []User) error {
	if p.Cert == "" {
		return nil
	}
	var shared *tls.Certificate
	for i := range users {
		user := strings.NewReplacer(ofUser, users[i].Name)
		if shared == nil || user.Replace(p.Cert) != p.Cert {
			cert := user.Replace(p.Cert)
			read, err := tls.LoadX509KeyPair(cert, cmp.Or(user.Replace(p.Key), cert))
			if err != nil {
				return fmt.Errorf("client certificate: %w", err)
			}
			shared = &read
		}
		users[i].Certificate = shared
	}
	return nil
}

func (p *Plan) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.ServerName, InsecureSkipVerify: p.Insecure}
	switch p.TLSVersion {
	case "":
	case "1.2":
		config.MaxVersion = tls.VersionTLS12
	case "1.3":
		config.MinVersion = tls.VersionTLS13
	default:
		return nil, fmt.Errorf("TLS version %q is neither 1.2 nor 1.3", p.TLSVersion)
	}
	curves := map[string]tls.CurveID{"X25519": tls.X25519, "P256": tls.CurveP256, "X25519MLKEM768": tls.X25519MLKEM768}
	if p.Curve != "" {
		curve, known := curves[p.Curve]
		if !known {
			return nil, fmt.Errorf("key exchange %q must be X25519, P256 or X25519MLKEM768", p.Curve)
		}
		config.CurvePreferences = []tls.CurveID{curve}
	}
	if p.CA != "" {
		text, err := os.ReadFile(p.CA)
		if err != nil {
			return nil, fmt.Errorf("CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("CA: %s holds no certificate", p.CA)
		}
	}
	return config, nil
}

func (p *Plan) account() (*Account, error) {
	a := &Account{PIDs: p.PIDs, Units: p.Units}
	if p.PIDFile != "" {
		text, err := os.ReadFile(p.PIDFile)
		if err != nil {
			return nil, fmt.Errorf("pid file: %w", err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("pid file %s: %w", p.PIDFile, err)
		}
		a.PIDs = append(a.PIDs[:len(a.PIDs):len(a.PIDs)], pid)
	}
	if len(a.PIDs) == 0 && len(a.Units) == 0 {
		return nil, nil
	}
	return a, nil
}

// LoadComparePlan reads the file of a comparison. File names in it are relative to its folder.
func LoadComparePlan(file string) (*ComparePlan, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProfile))
	if err != nil {
		return nil, err
	}
	plan := &ComparePlan{Rounds: 7}
	if err := yaml.UnmarshalWithOptions(text, plan, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	work := &plan.Work
	if len(plan.Targets) == 0 {
		return nil, fmt.Errorf("%s: list the targets under targets", file)
	}
	if len(work.Target) > 0 {
		return nil, fmt.Errorf("%s: leave out work.target: all targets stand under targets", file)
	}
	if len(work.PIDs) > 0 || work.PIDFile != "" || len(work.Units) > 0 {
		return nil, fmt.Errorf("%s: give pid, pid_file and unit to the targets, not to the work", file)
	}
	names := make(map[string]bool)
	for i := range plan.Targets {
		t := &plan.Targets[i]
		if t.Name == "" || names[t.Name] {
			return nil, fmt.Errorf("%s: targets[%d]: needs its own name", file, i)
		}
		names[t.Name] = true
		relative(file, &t.CA, &t.PIDFile)
	}
	relative(file, &work.CA, &work.PasswordFile, &work.Cert, &work.Key, &work.Replay)
	if strings.ContainsAny(work.Profile, "/.") {
		relative(file, &work.Profile)
	}
	return plan, nil
}

func relative(file string, paths ...*string) {
	for _, path := range paths {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(file), *path)
		}
	}
}

// Contestants turns the plan into what Compare takes.
func (p *ComparePlan) Contestants(ctx context.Context, r Resolver, allowRemote bool) ([]Contestant, error) {
	var all []Contestant
	var errs []error
	for _, t := range p.Targets {
		plan := p.Work.against(t)
		o, err := plan.Options(ctx, r, allowRemote)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.Name, err))
		}
		all = append(all, Contestant{Name: t.Name, Options: o})
	}
	return all, errors.Join(errs...)
}

// against returns the plan for one target. The plan's own settings about TLS are for targets with TLS.
func (p Plan) against(t RivalEntry) Plan {
	p.Target, p.PIDs, p.PIDFile, p.Units = []string{t.Target}, t.PIDs, t.PIDFile, nil
	if t.Unit != "" {
		p.Units = []string{t.Unit}
	}
	if t.TLS != nil && *t.TLS == TLSNone && p.TLS != TLSNone {
		p.CA, p.Insecure, p.ServerName, p.Cert, p.Key, p.TLSVersion, p.Curve = "", false, "", "", "", "", ""
	}
	p.TLS = *cmp.Or(t.TLS, &p.TLS)
	p.Insecure = *cmp.Or(t.Insecure, &p.Insecure)
	p.CA, p.ServerName = cmp.Or(t.CA, p.CA), cmp.Or(t.ServerName, p.ServerName)
	return p
}
