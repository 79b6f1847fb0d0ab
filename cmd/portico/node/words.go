package node

import (
	"crypto/tls"

	"github.com/rs/zerolog"

	"portico/backend"
	"portico/backend/directory"
	"portico/backend/directory/ldapdir"
	"portico/configs"
	"portico/health/admin"
	"portico/health/recovery"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/relay"
)

// These maps translate the words of the configuration into the values of the parts. Each list of words has a map, and
// each map has all words of its list: TestEveryWordIsTranslated. A word without a translation would silently be the
// zero value.

var relayIO = map[configs.RelayIO]relay.IO{
	configs.RelayIOAuto:    relay.IOAuto,
	configs.RelayIOEpoll:   relay.IOEpoll,
	configs.RelayIOIOUring: relay.IOUring,
}

var loginTypes = map[configs.LoginType]proxy.LoginType{
	configs.PlainTextLogin:          proxy.PlainTextLogin,
	configs.PlainTextAuthentication: proxy.PlainTextAuthentication,
	configs.SecureLogin:             proxy.SecureLogin,
}

var listenerTLS = map[configs.TLSMode]proxy.TLSMode{
	configs.TLSNone:     proxy.TLSNone,
	configs.TLSStartTLS: proxy.TLSStartTLS,
	configs.TLSImplicit: proxy.TLSImplicit,
}

var serverTLS = map[configs.TLSMode]backend.TLSMode{
	configs.TLSNone:     backend.TLSNone,
	configs.TLSStartTLS: backend.TLSStartTLS,
	configs.TLSImplicit: backend.TLSImplicit,
}

var proxyProtocols = map[configs.ProxyProtocol]int{
	configs.ProxyProtocolNone: 0,
	configs.ProxyProtocolV1:   1,
	configs.ProxyProtocolV2:   2,
}

var policies = map[configs.ActivationPolicy]backend.Policy{
	configs.PolicyUnrestricted: backend.Unrestricted,
	configs.PolicyBlocked:      backend.BlockedByPolicy,
}

var modes = map[configs.SigninMode]directory.Mode{
	configs.SigninPassthrough: directory.ModePassthrough,
	configs.SigninMaster:      directory.ModeMaster,
}

var routings = map[configs.Routing]backend.Routing{
	configs.RoutingSingle: backend.RoutingSingle,
	configs.RoutingHash:   backend.RoutingHash,
}

var levels = map[configs.LogLevel]zerolog.Level{
	configs.LogDebug: zerolog.DebugLevel,
	configs.LogInfo:  zerolog.InfoLevel,
	configs.LogWarn:  zerolog.WarnLevel,
	configs.LogError: zerolog.ErrorLevel,
}

var rowFormats = map[configs.ProtocolLogFormat]protolog.Format{
	configs.ProtocolLogCSV:  protolog.CSV,
	configs.ProtocolLogJSON: protolog.JSON,
}

var rollOvers = map[configs.RollOver]protolog.RollOver{
	configs.Hourly:  protolog.Hourly,
	configs.Daily:   protolog.Daily,
	configs.Weekly:  protolog.Weekly,
	configs.Monthly: protolog.Monthly,
}

var scopes = map[configs.Scope]ldapdir.Scope{
	configs.ScopeBase: ldapdir.Base,
	configs.ScopeOne:  ldapdir.One,
	configs.ScopeSub:  ldapdir.Sub,
}

// inConsole says whether a log format is the one for people.
var inConsole = map[configs.LogFormat]bool{
	configs.LogJSON:    false,
	configs.LogConsole: true,
}

// withSeparator says whether a master's form joins two user names with a separator.
var withSeparator = map[configs.MasterForm]bool{
	configs.MasterAuthzid:   false,
	configs.MasterSeparator: true,
}

var tlsVersions = map[configs.TLSVersion]uint16{
	configs.TLS12: tls.VersionTLS12,
	configs.TLS13: tls.VersionTLS13,
}

var rights = map[configs.Right]admin.Right{
	configs.RightRead:   admin.MayRead,
	configs.RightChange: admin.MayChange,
}

var sqlDrivers = map[configs.SQLDriver]string{
	configs.Postgres: "postgres",
	configs.MySQL:    "mysql",
}

var recoveryModes = map[configs.RecoveryMode]recovery.Mode{
	configs.RecoveryAct:    recovery.Act,
	configs.RecoveryDryRun: recovery.DryRun,
	configs.RecoveryOff:    recovery.Off,
}

var recoverySteps = map[configs.RecoveryStep]recovery.Action{
	configs.StepRestartService:  recovery.RestartService,
	configs.StepFailover:        recovery.Failover,
	configs.StepRestartServer:   recovery.RestartServer,
	configs.StepProtocolLog:     recovery.ProtocolLog,
	configs.StepRestartFrontEnd: recovery.RestartFrontEnd,
	configs.StepOutOfService:    recovery.OutOfService,
	configs.StepStopCanary:      recovery.StopCanary,
	configs.StepEscalate:        recovery.Escalate,
}
