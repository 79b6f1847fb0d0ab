package configs

import (
	"math"
	"time"
)

// Default returns the configuration of an empty file. It is incomplete: listeners, mailbox servers and databases have
// no sensible default.
func Default() *Config {
	return &Config{
		TLS: TLS{MinVersion: TLS12},
		Admin: Admin{
			Socket:         "/run/portico/admin.sock",
			Address:        "127.0.0.1:8143",
			SocketGroupMay: RightRead,
		},
		Routing: RoutingSingle,
		Signin:  Signin{Mode: SigninPassthrough, Master: Master{Form: MasterAuthzid}},
		Directory: Directory{
			Cache:    DirectoryCache{Positive: 5 * time.Minute, Negative: 30 * time.Second, Size: 100_000},
			Timeout:  5 * time.Second,
			InFlight: 64,
		},
		Settings: Settings{
			LoginType:                     SecureLogin,
			Banner:                        "Portico is ready.",
			MaxConnections:                math.MaxInt32,
			MaxConnectionFromSingleIP:     math.MaxInt32,
			MaxConnectionsPerUser:         16,
			MaxUnauthenticatedConnections: 10_000,
			MaxUnauthenticatedConnectionsFromSingleIP: 1000,
			MaxCommandSize:                    10 << 10,
			MaxCommandsBurst:                  200,
			ProxyTargetPort:                   993,
			EnforceCertificateErrors:          true,
			PreAuthenticatedConnectionTimeout: time.Minute,
			AuthenticatedConnectionTimeout:    30 * time.Minute, // RFC 9051 section 5.4

			LogFileRollOverSettings: Daily,
			ProtocolLogAgeQuota:     30 * 24 * time.Hour,
			ProtocolLogSizeQuota:    1 << 30,
			ProtocolLogCompress:     true,
			ProtocolLogFormat:       ProtocolLogCSV,
		},
		Timeouts: Timeouts{
			Connect:        5 * time.Second,
			Handshake:      10 * time.Second,
			ServerGreeting: 10 * time.Second,
			ServerSignin:   30 * time.Second, // servers delay the answer after failed sign-ins
		},
		Breaker: Breaker{
			Failures: 5,
			First:    time.Second,
			Longest:  30 * time.Second,
		},
		Pace: Pace{SigninsPerSecond: 200, For: 30 * time.Second},
		Penalties: Penalties{
			First:   2 * time.Second,
			Longest: 15 * time.Second,
			Forget:  time.Hour,
			Guesses: Guesses{AtOnce: 10, PerMinute: 30, AddressAtOnce: 120, AddressPerMinute: 60},
		},
		Health: Health{
			SelfTest:           ProbeTiming{Interval: time.Minute, Timeout: 20 * time.Second, Failures: 3},
			DeepTest:           DeepTest{Interval: 2 * time.Minute, Timeout: time.Minute, Failures: 4, Write: true},
			ProxyTest:          ProbeTiming{Interval: time.Minute, Timeout: 20 * time.Second, Failures: 3},
			CTP:                ProbeTiming{Interval: 2 * time.Minute, Timeout: time.Minute, Failures: 4},
			Flapping:           Flapping{Changes: 4, Window: 30 * time.Minute},
			SignIns:            SignIns{Percent: 20, Users: 3},
			RequestsQueued:     500,
			AverageCommandTime: time.Minute,
			ConfigWatch:        30 * time.Second,
			Recovery:           defaultRecovery(),
			Escalate:           Escalate{Notices: true, Gather: time.Minute},
		},
		Cluster:         defaultCluster(),
		Relay:           Relay{ServerBuffer: 2 << 20, IO: RelayIOAuto},
		ShutdownTimeout: 30 * time.Second,
		KeepaliveIdle:   10 * time.Minute, // each probe wakes a phone
		DataDir:         "/var/lib/portico",
		Store:           Store{Backups: 7},
		Metrics:         Metrics{ClassicHistograms: true},
		Log:             Log{Level: LogInfo, Format: LogJSON, Signins: true},
	}
}

// Values without a key. They are here with the defaults, so that one file has every number that Portico uses before it
// is configured.
const (
	// SASLLimit is the longest SASL line of a client before sign-in, in bytes. Tokens are long.
	SASLLimit = 64 << 10
	// BadCommandsLimit is the number of bad commands before sign-in that ends a connection. Sign-ins that no server
	// has judged count too.
	BadCommandsLimit = 10
	// FailedSignInsLimit is the number of refused sign-ins that ends a connection.
	FailedSignInsLimit = 3

	// SetUpTimeout is how long a client may take from connecting to sign-in, unless PreAuthenticatedConnectionTimeout
	// is longer.
	SetUpTimeout = 5 * time.Minute
	// WriteTimeout is how long a client may take to read an answer before sign-in.
	WriteTimeout = 10 * time.Second

	// LingerTimeout is how long answers may flow after a client's half-close, and how long the last bytes of a session
	// may take.
	LingerTimeout = 30 * time.Second
	// StallTimeout is how long a client may leave data unread. Dovecot's is the same.
	StallTimeout = 10 * time.Minute
	// ServerStallTimeout is how long a mailbox server may leave data unread or unacknowledged.
	ServerStallTimeout = time.Minute
)

// defaulter is an element of a list or map that has defaults.
type defaulter interface{ setDefaults() }

func (m *MailboxServer) setDefaults() {
	m.TLS, m.ProxyProtocol, m.ActivationPolicy = TLSImplicit, ProxyProtocolNone, PolicyUnrestricted
}

func (d *Database) setDefaults() { d.Activate.Timeout = time.Minute }

func (s *DirectorySource) setDefaults() { s.LDAP.Scope, s.SQL.Driver = ScopeSub, Postgres }

func (v *Verifier) setDefaults() { v.LDAP.Scope, v.SQL.Driver = ScopeSub, Postgres }
