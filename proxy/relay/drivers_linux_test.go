package relay

// drivers are all that this system has.
var drivers = []driver{{"loops", func(o Options) (Relay, error) { return NewLoops(o) }}, pumps}
