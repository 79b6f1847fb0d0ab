package configs

// Log configures the program's own log, not the protocol log.
type Log struct {
	Level  LogLevel  `yaml:"level"`
	Format LogFormat `yaml:"format"`
	// Signins writes a line for each sign-in, whatever its outcome.
	Signins bool `yaml:"signins"`
}

// LogLevel is the least severe level that is written.
type LogLevel string

// The levels of the program's log.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is the form of a log line.
type LogFormat string

// JSON is for machines, console for people.
const (
	LogJSON    LogFormat = "json"
	LogConsole LogFormat = "console"
)

// RollOver is when the protocol log begins a new file.
type RollOver string

// Exchange's periods. They begin in UTC.
const (
	Hourly  RollOver = "hourly"
	Daily   RollOver = "daily"
	Weekly  RollOver = "weekly"
	Monthly RollOver = "monthly"
)

// ProtocolLogFormat is the form of the protocol log's rows.
type ProtocolLogFormat string

// CSV is Exchange's form. JSON has one object in each line.
const (
	ProtocolLogCSV  ProtocolLogFormat = "csv"
	ProtocolLogJSON ProtocolLogFormat = "json"
)

func (RollOver) choices() []string          { return texts(Hourly, Daily, Weekly, Monthly) }
func (ProtocolLogFormat) choices() []string { return texts(ProtocolLogCSV, ProtocolLogJSON) }
func (LogLevel) choices() []string          { return texts(LogDebug, LogInfo, LogWarn, LogError) }
func (LogFormat) choices() []string         { return texts(LogJSON, LogConsole) }
