package node

import (
	"fmt"
	"strings"

	"portico/cluster/seal"
	"portico/configs"
)

// digests are those of the parts of a configuration that all nodes need to have the same.
func (m *membership) digests(config *configs.Config) map[string]string {
	parts := config.SharedParts()
	for name, text := range parts {
		parts[name] = seal.Digest(m.options.Secret.Reveal(), name+"\n"+text)
	}
	return parts
}

// use tells the other nodes of a configuration that is in force here.
func (m *membership) use(config *configs.Config) {
	if m != nil {
		m.parts.Use(m.digests(config))
	}
}

// alike is a check of /readyz: it says which nodes have another configuration than this one where all need the same.
func (m *membership) alike() error {
	var words []string
	for _, node := range m.self.Nodes() {
		if parts := m.parts.Differing(node.Name); len(parts) > 0 && !node.Stopped {
			words = append(words, fmt.Sprintf("%s of %s", strings.Join(parts, ", "), node.Name))
		}
	}
	if len(words) == 0 {
		return nil
	}
	return fmt.Errorf("all nodes need the same configuration, and these parts are not as here: %s",
		strings.Join(words, "; "))
}
