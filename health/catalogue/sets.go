package catalogue

import "slices"

// The health sets.
const (
	SetIMAP     = "IMAP"
	SetProxy    = "IMAP.Proxy"
	SetProtocol = "IMAP.Protocol"
	SetPortico  = "Portico" // ours: Portico's own resources
)

// The groups of health sets, in Exchange's words (docs/exchange.md).
const (
	CustomerTouchPoints = "Customer Touch Points"
	ServiceComponents   = "Service Components"
	ServerResources     = "Server Resources"
)

// Set describes a health set.
type Set struct {
	Name  string
	Group string
	// Component is the component whose service the set is about, empty for none: the set shows whether it is Online,
	// and load balancers send clients elsewhere while the set is Unhealthy.
	Component string
}

var sets = [...]Set{
	{Name: SetIMAP, Group: CustomerTouchPoints},
	{Name: SetProxy, Group: ServiceComponents, Component: "ImapProxy"},
	{Name: SetProtocol, Group: ServiceComponents},
	{Name: SetPortico, Group: ServerResources},
}

// SetOf returns a health set. One that the catalogue does not have is a service component.
func SetOf(name string) Set {
	if i := slices.IndexFunc(sets[:], func(s Set) bool { return s.Name == name }); i >= 0 {
		return sets[i]
	}
	return Set{Name: name, Group: ServiceComponents}
}
