package configs

// Admin configures how operators reach Portico.
type Admin struct {
	// Unix socket that serves the same HTTP as Address; "" for none
	Socket    string  `yaml:"socket" file:"relative" reload:"no"`
	Address   string  `yaml:"address" reload:"no"`        // HTTP; "" for none
	TLS       KeyPair `yaml:"tls"`                        // for Address
	TokenFile string  `yaml:"token_file" file:"relative"` // bearer token for Address; see ReadToken
	// bearer token that may read but not change; without it, everybody on loopback may read
	ReadTokenFile string `yaml:"read_token_file" file:"relative"`
	// hashed tokens with names and rights; see ReadTokens. With it, nobody reads over TCP without a token
	TokensFile string `yaml:"tokens_file" file:"relative"`
	// CA certificates for operators' certificates, and what these may do, by their common name
	ClientCA     string           `yaml:"client_ca" file:"relative"`
	ClientRights map[string]Right `yaml:"client_rights"`
	// group whose members may open Socket; "" for none
	SocketGroup    string   `yaml:"socket_group" reload:"no"`
	SocketGroupMay Right    `yaml:"socket_group_may"`
	AllowedHosts   []string `yaml:"allowed_hosts"` // Host headers accepted besides loopback names
}

// Right is what an operator may do.
type Right string

// The right to change includes the right to read.
const (
	RightRead   Right = "read"
	RightChange Right = "change"
)

func (Right) choices() []string { return texts(RightRead, RightChange) }
