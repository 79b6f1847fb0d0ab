package node

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portico/cmd/portico/datadir"
	"portico/cmd/portico/release"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
	"portico/protolog"
)

// longestRule bounds how long a rule lasts.
const longestRule = 366 * 24 * time.Hour

// logHashSize is the length of the key of the hash of users, in bytes.
const logHashSize = 32

// startProtocolLog opens the protocol log with the rules that are stored.
func (s *service) startProtocolLog(loops int) error {
	key, err := store.Secret(context.Background(), s.mailbox.site, datadir.LogHashKey, logHashSize, cryptorand.Reader)
	if err != nil {
		return fmt.Errorf("protocol log: %w", err)
	}
	s.protocol, err = protolog.New(protolog.Options{
		Settings: protocolSettings(s.current().config), Loops: loops, Key: key, Version: release.Version(),
		Log: s.log.Logger, Registerer: s.metrics,
	})
	if err != nil {
		return fmt.Errorf("protocol log: %w", err)
	}
	changes, err := s.store.rules.Watch(s.background.ctx)
	if err != nil {
		return fmt.Errorf("protocol log: %w", err)
	}
	rules := storedRules{stored: s.store.rules, log: s.log, use: s.useRules,
		found: make(map[string]store.Item[protolog.Rule])}
	next := rules.apply(s.background.ctx, <-changes)
	s.background.run(func(ctx context.Context) { rules.keep(ctx, changes, next) })
	return nil
}

// useRules puts rules in force, also in earlier processes of this node.
func (s *service) useRules(rules []protolog.Rule) {
	s.protocol.SetRules(rules)
	s.generations.tellLog()
}

// logged is what is logged now, for earlier processes.
func (s *service) logged() logMessage {
	return logMessage{protocolSettings(s.current().config),
		slices.DeleteFunc(s.protocol.Rules(), func(r protolog.Rule) bool { return r.ID == protolog.RuleOfSetting })}
}

// storedRules follows the rules in the store. It belongs to one goroutine.
type storedRules struct {
	stored store.Set[protolog.Rule]
	log    *nodeLog
	use    func([]protolog.Rule) // puts rules in force
	found  map[string]store.Item[protolog.Rule]
}

// keep puts rules in force as the store has them, and deletes those whose end has come. next is when that is.
func (r *storedRules) keep(ctx context.Context, changes <-chan []store.Item[protolog.Rule], next time.Duration) {
	timer := time.NewTimer(next)
	defer timer.Stop()
	for {
		var batch []store.Item[protolog.Rule]
		select {
		case changed, more := <-changes:
			if !more {
				return
			}
			batch = changed
		case <-timer.C:
		}
		timer.Reset(r.apply(ctx, batch))
	}
}

// apply takes changes in, and returns when the next rule ends.
func (r *storedRules) apply(ctx context.Context, batch []store.Item[protolog.Rule]) (next time.Duration) {
	for _, c := range batch {
		if c.Revision == 0 {
			delete(r.found, c.Name)
		} else {
			r.found[c.Name] = c
		}
	}
	next = longestRule
	now := time.Now()
	var rules []protolog.Rule
	for _, item := range r.found {
		rule := item.Value
		if item.Err != nil {
			r.log.report("stored protocol log rule not usable", item.Err)
			continue
		}
		if !rule.Until.IsZero() {
			left := rule.Until.Sub(now)
			if left <= 0 {
				if err := r.stored.Remove(ctx, item); err == nil {
					r.log.Info().Str("rule", rule.ID).Msg("protocol log rule expired")
				}
				continue
			}
			next = min(next, left)
		}
		rules = append(rules, rule)
	}
	r.use(rules)
	return next
}

// protocolSettings are the protocol log's.
func protocolSettings(config *configs.Config) protolog.Settings {
	set := config.Settings
	location := set.LogFileLocation
	if location == "" {
		location = filepath.Join(config.DataDir, "protocol-log")
	}
	return protolog.Settings{
		Enabled: set.ProtocolLogEnabled, Format: rowFormats[set.ProtocolLogFormat],
		HashUsers: set.ProtocolLogHashUsers, ShortenAddresses: set.ProtocolLogShortenAddresses,
		Files: protolog.FileSettings{
			Location: location, RollOver: rollOvers[set.LogFileRollOverSettings],
			FileSize: int64(set.LogPerFileSizeQuota),
			Age:      set.ProtocolLogAgeQuota, TotalSize: max(int64(set.ProtocolLogSizeQuota), 0),
			Compress: set.ProtocolLogCompress,
		},
	}
}

// logAPI is what the admin's API sees of the protocol log and does to it. Its methods may be called from
// anywhere.
type logAPI struct {
	*protolog.Log
	s *service
}

var _ admin.Log = logAPI{}

// On implements admin.Log.
func (c logAPI) On(ctx context.Context, f protolog.Filter, d time.Duration) (was *protolog.Rule, rule protolog.Rule,
	err error) {
	if f, err = c.named(f); err != nil {
		return nil, rule, err
	}
	if err := protolog.CheckRule(f); err != nil {
		return nil, rule, err
	}
	if d < 0 || d > longestRule {
		return nil, rule, admin.Of(admin.KindInvalid,
			fmt.Errorf("for: %v is out of range: give 0 to %v", d, longestRule))
	}
	done, err := c.s.config.change(ctx) // two requests with one filter are one rule
	if err != nil {
		return nil, rule, err
	}
	defer done()
	rule = protolog.Rule{Filter: f, Since: time.Now().UTC().Truncate(time.Millisecond)}
	was, rule, err = putRule(ctx, c.s.store.rules, rule, d)
	if err == nil {
		c.s.log.Warn().Str("rule", rule.ID).Interface("filter", f).Time("until", rule.Until).
			Msg("protocol log switched on by an operator")
	}
	return was, rule, err
}

// Tail implements admin.Log.
func (c logAPI) Tail(f protolog.Filter, format protolog.Format) (*protolog.Tail, error) {
	f, err := c.named(f)
	if err != nil {
		return nil, err
	}
	return c.Log.Tail(f, format)
}

// Find implements admin.Log.
func (c logAPI) Find(ctx context.Context, q protolog.Search, format protolog.Format,
	yield func(row []byte) error) error {
	var err error
	if q.Filter, err = c.named(q.Filter); err != nil {
		return err
	}
	return c.Log.Find(ctx, q, format, yield)
}

// named gives a filter's user the form that sessions have. A pattern stays as it is.
func (c logAPI) named(f protolog.Filter) (protolog.Filter, error) {
	if f.User == "" || strings.ContainsAny(f.User, "*?") {
		return f, nil
	}
	var err error
	f.User, err = c.s.clients.canonical(f.User)
	return f, err
}

// Off implements admin.Log.
func (c logAPI) Off(ctx context.Context, id string) (ended []protolog.Rule, err error) {
	if id == protolog.RuleOfSetting {
		return nil, errors.New("this rule is a setting: end it with portico settings set ProtocolLogEnabled=false")
	}
	items, err := c.s.store.rules.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if id != "" && item.Name != id {
			continue
		}
		if err := c.s.store.rules.Remove(ctx, item); err != nil && !errors.Is(err, store.ErrConflict) {
			return ended, err
		}
		item.Value.ID = item.Name // also of one that cannot be read
		ended = append(ended, item.Value)
	}
	if id != "" && !isRuleName(id) && len(ended) == 0 {
		return nil, admin.Unknown(fmt.Errorf("there is no rule %q", id))
	}
	if len(ended) > 0 {
		c.s.log.Warn().Str("rule", id).Int("rules", len(ended)).Msg("protocol log switched off by an operator")
	}
	return ended, nil
}
