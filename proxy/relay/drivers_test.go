package relay

// pumps is the portable driver, which is tested everywhere.
var pumps = driver{"pumps", func(o Options) (Relay, error) { return NewPumps(o), nil }}
