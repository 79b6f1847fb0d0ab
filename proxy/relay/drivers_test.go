package relay

// pumps is the portable driver, which is tested everywhere.
var pumps = driver{name: "pumps", open: func(o Options) (Relay, error) { return NewPumps(o) }}
