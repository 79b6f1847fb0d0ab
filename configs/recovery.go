package configs

import (
	"fmt"
	"time"
)

// Recovery says what Portico does automatically when a monitor stays unhealthy: a ladder of steps, limited by
// throttles.
type Recovery struct {
	Mode RecoveryMode  `yaml:"mode"`
	Wait time.Duration `yaml:"wait" range:"1s..24h"` // between two steps
	// Mailbox servers have a common cause if a monitor fails on at least two of them, and on more than
	// CommonCausePercent of those that it monitors. Then recovery restarts none of them.
	CommonCausePercent int `yaml:"common_cause_percent" range:"1..100"`
	// RestartService and RestartServer are hooks. They get the name of the mailbox server.
	RestartService Hook      `yaml:"restart_service"`
	RestartServer  Hook      `yaml:"restart_server"`
	Ladders        Ladders   `yaml:"ladders"`
	Throttle       Throttles `yaml:"throttle"`
}

// RecoveryMode says whether recovery acts.
type RecoveryMode string

// The modes.
const (
	RecoveryAct    RecoveryMode = "act"
	RecoveryDryRun RecoveryMode = "dry_run" // only log what would be done
	RecoveryOff    RecoveryMode = "off"
)

// Ladders are the steps of each monitor, in order.
type Ladders struct {
	SelfTest           []RecoveryStep `yaml:"self_test"`
	DeepTest           []RecoveryStep `yaml:"deep_test"`
	ProxyTest          []RecoveryStep `yaml:"proxy_test"`
	CTP                []RecoveryStep `yaml:"ctp"`
	SignIns            []RecoveryStep `yaml:"sign_ins"`
	RequestsQueued     []RecoveryStep `yaml:"requests_queued"`
	AverageCommandTime []RecoveryStep `yaml:"average_command_time"`
	Canary             []RecoveryStep `yaml:"canary"`
}

// ByKey returns the steps of each ladder, by its key in the file.
func (l Ladders) ByKey() map[string][]RecoveryStep {
	return map[string][]RecoveryStep{
		"self_test": l.SelfTest, "deep_test": l.DeepTest, "proxy_test": l.ProxyTest, "ctp": l.CTP,
		"sign_ins": l.SignIns, "requests_queued": l.RequestsQueued, "average_command_time": l.AverageCommandTime,
		"canary": l.Canary,
	}
}

// RecoveryStep is a step of a ladder.
type RecoveryStep string

// The steps.
const (
	StepRestartService  RecoveryStep = "restart_service"
	StepFailover        RecoveryStep = "failover"
	StepRestartServer   RecoveryStep = "restart_server"
	StepProtocolLog     RecoveryStep = "protocol_log"
	StepRestartFrontEnd RecoveryStep = "restart_front_end"
	StepOutOfService    RecoveryStep = "out_of_service"
	StepStopCanary      RecoveryStep = "stop_canary"
	StepEscalate        RecoveryStep = "escalate"
)

// Throttles limit how often each step is done.
type Throttles struct {
	RestartService  Throttle `yaml:"restart_service"`
	Failover        Throttle `yaml:"failover"`
	RestartServer   Throttle `yaml:"restart_server"`
	ProtocolLog     Throttle `yaml:"protocol_log"`
	RestartFrontEnd Throttle `yaml:"restart_front_end"`
	OutOfService    Throttle `yaml:"out_of_service"`
}

// Throttle limits how often a step is done to one target, and to all targets of the group together. -1 is no limit.
type Throttle struct {
	Between      time.Duration `yaml:"between" range:"0s..168h"`
	InAnHour     int           `yaml:"in_an_hour" range:"-1..1000"`
	InADay       int           `yaml:"in_a_day" range:"-1..1000"`
	GroupBetween time.Duration `yaml:"group_between" range:"0s..168h"`
	GroupInADay  int           `yaml:"group_in_a_day" range:"-1..1000"`
}

// defaultRecovery has the order of steps of Exchange's guide, without steps that do harm if they turn out to be
// unnecessary.
func defaultRecovery() Recovery {
	server := func() []RecoveryStep {
		return []RecoveryStep{StepRestartService, StepFailover, StepRestartServer, StepEscalate}
	}
	return Recovery{
		Mode: RecoveryAct, Wait: 5 * time.Minute, CommonCausePercent: 34,
		RestartService: Hook{Timeout: time.Minute}, RestartServer: Hook{Timeout: time.Minute},
		Ladders: Ladders{
			SelfTest: server(), DeepTest: server(),
			ProxyTest:          []RecoveryStep{StepRestartFrontEnd, StepOutOfService, StepEscalate},
			CTP:                []RecoveryStep{StepRestartService, StepProtocolLog, StepRestartFrontEnd, StepEscalate},
			SignIns:            []RecoveryStep{StepFailover, StepRestartService, StepEscalate},
			RequestsQueued:     []RecoveryStep{StepRestartService, StepEscalate},
			AverageCommandTime: []RecoveryStep{StepRestartService, StepEscalate},
			Canary:             []RecoveryStep{StepStopCanary, StepEscalate},
		},
		Throttle: Throttles{
			RestartService: Throttle{Between: 10 * time.Minute, InAnHour: 2, InADay: 4, GroupBetween: time.Minute,
				GroupInADay: 12},
			Failover: Throttle{Between: 30 * time.Minute, InAnHour: 1, InADay: 3, GroupBetween: time.Minute,
				GroupInADay: 12},
			RestartServer: Throttle{Between: 6 * time.Hour, InAnHour: 1, InADay: 1, GroupBetween: 30 * time.Minute,
				GroupInADay: 4},
			ProtocolLog:     Throttle{InAnHour: 6, InADay: 24, GroupInADay: 100},
			RestartFrontEnd: Throttle{Between: 10 * time.Minute, InAnHour: 2, InADay: 6, GroupInADay: 6},
			OutOfService:    Throttle{Between: 10 * time.Minute, InAnHour: 2, InADay: 6, GroupInADay: 6},
		},
	}
}

// recovery checks the hooks and the length of the ladders.
func (v *validator) recovery() {
	of := v.c.Health.Recovery
	v.hook("health.recovery.restart_service", of.RestartService)
	v.hook("health.recovery.restart_server", of.RestartServer)
	for name, steps := range of.Ladders.ByKey() {
		if len(steps) > maxSteps {
			v.failKey(join("health.recovery.ladders", name), "%s",
				fmt.Sprintf("has %d steps; the limit is %d", len(steps), maxSteps))
		}
	}
}

// maxSteps is the highest number of steps of a ladder.
const maxSteps = 16

func (RecoveryMode) choices() []string { return texts(RecoveryAct, RecoveryDryRun, RecoveryOff) }
func (RecoveryStep) choices() []string {
	return texts(StepRestartService, StepFailover, StepRestartServer, StepProtocolLog, StepRestartFrontEnd,
		StepOutOfService, StepStopCanary, StepEscalate)
}
