package bench

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"portico/bench/replay"
)

//go:embed profiles/*.yaml
var builtIn embed.FS

// maxProfile is the largest file of a profile, in bytes.
const maxProfile = 1 << 20

// Profile says what sessions do. It has exactly one section.
type Profile struct {
	// Name is the name of the built-in profile or of the file.
	Name        string `yaml:"-"`
	Description string `yaml:"description"`
	// PerSession is the default rate of each session, in operations per second.
	PerSession float64 `yaml:"per_session"`
	// Mailbox is the prefix of the names of mailboxes that sessions create.
	Mailbox string `yaml:"mailbox"`

	Noop    *NoopProfile    `yaml:"noop"`
	Fetch   *FetchProfile   `yaml:"fetch"`
	Phone   *PhoneProfile   `yaml:"phone"`
	Desktop *DesktopProfile `yaml:"desktop"`
	Webmail *WebmailProfile `yaml:"webmail"`
	Bulk    *BulkProfile    `yaml:"bulk"`
	Storm   *StormProfile   `yaml:"storm"`
	Mixed   []Part          `yaml:"mixed"`

	Commands *replay.Mix `yaml:"commands" json:",omitempty"`

	recording *replay.Recording // replaces the sections: its sessions are played
}

// NoopProfile sends one NOOP in each operation.
type NoopProfile struct{}

// FetchProfile reads one whole message by UID FETCH in each operation.
type FetchProfile struct {
	// Mail says where the messages come from: "append" for generated ones with checksums, or "sized" for those in
	// mailboxes called SIZEn, which the sink has.
	Mail     string         `yaml:"mail"`
	Messages int            `yaml:"messages"` // of each session, if appended
	Sizes    []WeightedSize `yaml:"sizes"`
}

// PhoneProfile is a mail program that waits in IDLE. An operation is a new message, which wakes it.
type PhoneProfile struct {
	Sizes []WeightedSize `yaml:"sizes"`
	Keep  int            `yaml:"keep"` // messages; more are expunged
}

// DesktopProfile is a mail program that synchronises. An operation is one round.
type DesktopProfile struct {
	Messages int            `yaml:"messages"` // in the mailbox at the start, and kept
	Sizes    []WeightedSize `yaml:"sizes"`
}

// WebmailProfile is one page of a webmail program: sign in, list messages, sign out.
type WebmailProfile struct {
	Envelopes int `yaml:"envelopes"` // of the last messages of INBOX
}

// BulkProfile is a migration: an operation is a batch of messages appended, fetched and expunged, pipelined.
type BulkProfile struct {
	Batch int            `yaml:"batch"` // messages
	Depth int            `yaml:"depth"` // commands sent before an answer is waited for
	Sizes []WeightedSize `yaml:"sizes"`
}

// StormProfile only signs in.
type StormProfile struct {
	Logout bool `yaml:"logout"` // leave by LOGOUT, else by closing
}

// Part is a profile's share of the sessions of a mixed one.
type Part struct {
	Profile string  `yaml:"profile"` // a name, or a file relative to this one
	Weight  float64 `yaml:"weight"`
	Pace    float64 `yaml:"pace"` // rate of its sessions relative to those of pace 1; 1 by default

	profile *Profile
}

// WeightedSize is a message size with its frequency.
type WeightedSize struct {
	Bytes  Size    `yaml:"bytes"`
	Weight float64 `yaml:"weight"`
}

// Size is a number of bytes, written as 5120, 5KiB or 1MiB.
type Size int

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	digits, factor := string(text), 1
	for suffix, f := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if rest, found := strings.CutSuffix(digits, suffix); found {
			digits, factor = strings.TrimSpace(rest), f
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > maxSize/factor {
		return fmt.Errorf("size %q: write for example 5120, 5KiB or 1MiB, at most 256MiB", text)
	}
	*s = Size(n * factor)
	return nil
}

const maxSize = 256 << 20

// ProfileNames lists the built-in profiles.
func ProfileNames() []string {
	files, _ := fs.Glob(builtIn, "profiles/*.yaml") // the pattern is valid
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	return names
}

// ProfileText returns a built-in profile's file.
func ProfileText(name string) ([]byte, error) {
	if !slices.Contains(ProfileNames(), name) {
		return nil, fmt.Errorf("no profile is called %q; there are %s", name, strings.Join(ProfileNames(), ", "))
	}
	return builtIn.ReadFile("profiles/" + name + ".yaml")
}

// LoadProfile reads a built-in profile by its name, or a file.
func LoadProfile(nameOrFile string) (*Profile, error) { return loadProfile(nameOrFile, ".", 0) }

func loadProfile(nameOrFile, dir string, depth int) (*Profile, error) {
	text, err := profileSource(nameOrFile, &dir)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if text, err = ofRecording(text); err != nil {
		return nil, fmt.Errorf("profile %s: %w", nameOrFile, err)
	}
	p := &Profile{Name: strings.TrimSuffix(filepath.Base(nameOrFile), ".yaml")}
	if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("profile %s: %w", nameOrFile, err)
	}
	p.Description = strings.TrimSpace(p.Description)
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("profile %s: %w", nameOrFile, err)
	}
	for i := range p.Mixed {
		part := &p.Mixed[i]
		if depth > 0 {
			return nil, fmt.Errorf("profile %s: a part of a mixed profile must not be mixed itself", nameOrFile)
		}
		if part.profile, err = loadProfile(part.Profile, dir, depth+1); err != nil {
			return nil, fmt.Errorf("profile %s: %w", nameOrFile, err)
		}
	}
	return p, nil
}

// profileSource reads the text of a profile. It sets dir to the folder that file names in it are relative to.
func profileSource(nameOrFile string, dir *string) ([]byte, error) {
	if !strings.ContainsAny(nameOrFile, "/.") {
		return ProfileText(nameOrFile)
	}
	if !filepath.IsAbs(nameOrFile) {
		nameOrFile = filepath.Join(*dir, nameOrFile)
	}
	*dir = filepath.Dir(nameOrFile)
	f, err := os.Open(nameOrFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := replay.Plain(f)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(plain, maxProfile+1))
	if err == nil && len(text) > maxProfile && !replay.IsRecording(text) {
		err = fmt.Errorf("%s is longer than %d bytes", nameOrFile, maxProfile)
	}
	return text, err
}

// complete fills in defaults and refuses invalid values.
func (p *Profile) complete() error {
	sections := 0
	for _, there := range []bool{
		p.Noop != nil, p.Fetch != nil, p.Phone != nil, p.Desktop != nil, p.Webmail != nil, p.Bulk != nil,
		p.Storm != nil, p.Mixed != nil, p.Commands != nil,
	} {
		if there {
			sections++
		}
	}
	if sections != 1 {
		return errors.New("needs exactly one of the sections noop, fetch, phone, desktop, webmail, bulk, storm, " +
			"commands, mixed")
	}
	if p.PerSession == 0 {
		p.PerSession = 1
	}
	if !(p.PerSession > 0 && p.PerSession <= maxRate) {
		return fmt.Errorf("per_session: %v is not between 0 and %d", p.PerSession, maxRate)
	}
	if p.Mailbox == "" {
		p.Mailbox = "bench-"
	}
	if strings.ContainsFunc(p.Mailbox,
		func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\(){}%*`, r) }) {
		return fmt.Errorf("mailbox: %q: only plain characters", p.Mailbox)
	}
	return p.checkSections()
}

func (p *Profile) checkSections() error {
	switch {
	case p.Fetch != nil:
		if p.Fetch.Mail != "append" && p.Fetch.Mail != "sized" {
			return fmt.Errorf("fetch.mail: %q is neither append nor sized", p.Fetch.Mail)
		}
		return errors.Join(within("fetch.messages", &p.Fetch.Messages, 8, 10_000),
			checkSizes("fetch.sizes", p.Fetch.Sizes))
	case p.Phone != nil:
		return errors.Join(within("phone.keep", &p.Phone.Keep, 10, 10_000), checkSizes("phone.sizes", p.Phone.Sizes))
	case p.Desktop != nil:
		return errors.Join(within("desktop.messages", &p.Desktop.Messages, 20, 10_000),
			checkSizes("desktop.sizes", p.Desktop.Sizes))
	case p.Webmail != nil:
		return within("webmail.envelopes", &p.Webmail.Envelopes, 20, 1000)
	case p.Commands != nil:
		if err := p.Commands.Check(); err != nil {
			return fmt.Errorf("commands.%w", err)
		}
	case p.Bulk != nil:
		return errors.Join(within("bulk.batch", &p.Bulk.Batch, 8, 1000), within("bulk.depth", &p.Bulk.Depth, 4, 64),
			checkSizes("bulk.sizes", p.Bulk.Sizes))
	}
	for i := range p.Mixed {
		part := &p.Mixed[i]
		if part.Pace == 0 {
			part.Pace = 1
		}
		if !(part.Weight > 0 && part.Weight <= 1e6) || !(part.Pace > 0 && part.Pace <= 1e6) || part.Profile == "" {
			return fmt.Errorf("mixed[%d]: needs a profile, a weight above 0, and a pace above 0 if it has one", i)
		}
	}
	if p.Mixed != nil && (len(p.Mixed) == 0 || len(p.Mixed) > 100) {
		return errors.New("mixed: must have 1 to 100 parts")
	}
	return nil
}

// within sets a default and checks a bound.
func within(key string, value *int, byDefault, most int) error {
	if *value == 0 {
		*value = byDefault
	}
	if *value < 1 || *value > most {
		return fmt.Errorf("%s: %d is not between 1 and %d", key, *value, most)
	}
	return nil
}

func checkSizes(key string, sizes []WeightedSize) error {
	if len(sizes) == 0 || len(sizes) > 1000 {
		return fmt.Errorf("%s: must have 1 to 1000 sizes", key)
	}
	for i := range sizes {
		if sizes[i].Weight == 0 {
			sizes[i].Weight = 1
		}
		if !(sizes[i].Weight > 0 && sizes[i].Weight <= 1e6) || sizes[i].Bytes == 0 {
			return fmt.Errorf("%s[%d]: needs bytes, and a weight above 0 if it has one", key, i)
		}
	}
	return nil
}

// pickSize draws a size by weight; at is within [0, 1).
func pickSize(sizes []WeightedSize, at float64) int {
	var sum float64
	for _, s := range sizes {
		sum += s.Weight
	}
	at *= sum
	for _, s := range sizes {
		if at -= s.Weight; at < 0 {
			return int(s.Bytes)
		}
	}
	return int(sizes[len(sizes)-1].Bytes)
}

// parts distributes sessions over a profile's parts by weight. A profile that is not mixed is its only part.
func (p *Profile) parts(sessions int) []Part {
	parts := p.Mixed
	if parts == nil {
		parts = []Part{{Weight: 1, Pace: 1, profile: p}}
	}
	owed := make([]float64, len(parts))
	spread := make([]Part, sessions)
	var sum float64
	for _, part := range parts {
		sum += part.Weight
	}
	for i := range spread {
		most := 0
		for j, part := range parts {
			if owed[j] += part.Weight; owed[j] > owed[most] {
				most = j
			}
		}
		owed[most] -= sum
		spread[i] = parts[most]
	}
	return spread
}

// connections returns the highest number of connections of a session.
func (p *Profile) connections() uint64 {
	most := uint64(1)
	if p.Phone != nil {
		most = 2
	}
	for _, part := range p.Mixed {
		most = max(most, part.profile.connections())
	}
	return most
}
