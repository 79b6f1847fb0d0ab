package recovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"portico/health"
	"portico/health/catalogue"
)

// What is known of each action: its names, on what it works, and what may be done with it.
func TestKindsOfActions(t *testing.T) {
	deep := Case{Monitor: "IMAP.Protocol/ImapDeepTestMonitor/db1", Server: "mbx1", Database: "db1"}
	alone, frontEnd := deep, Case{Monitor: "IMAP.Proxy/ImapProxyTestMonitor"}
	canary := Case{Monitor: "IMAP/ImapCanaryMonitor/v24@mbx1", Server: "mbx1", Canary: "v24"}
	alone.Alone = true
	may := func(action Action, c Case) string {
		if why := c.unfit(action, &health.Result{Dependency: health.Networking}); why != "" {
			return "-"
		}
		return kinds[action].resource(c)
	}
	want := map[Action]string{ // for a server's database, for a database alone, for our front end, for a canary
		RestartService:  "RestartService  ImapDeepTestRestartService mbx1 - - - restarts mends",
		Failover:        "ServerFailover AllowActivation ImapDeepTestFailover mbx1 db1 - - mends informs again",
		RestartServer:   "ForceReboot  ImapDeepTestRestartServer mbx1 - - - restarts mends",
		ProtocolLog:     "EnableProtocolLog DisableProtocolLog ImapDeepTestProtocolLog db1 db1 ImapProxy - again",
		RestartFrontEnd: "RestartFrontEnd  ImapDeepTestRestartFrontEnd ImapProxy ImapProxy ImapProxy - mends again",
		OutOfService: "TakeComponentOffline BringComponentOnline ImapDeepTestOffline ImapProxy ImapProxy " +
			"ImapProxy - again",
		StopCanary: "StopCanary  ImapDeepTestStop - - - v24 informs again",
		Escalate:   "Escalate  ImapDeepTestEscalate db1 db1 ImapProxy mbx1 again",
	}
	for action, k := range kinds {
		got := fmt.Sprintf("%s %s %s %s %s %s %s", action.ID(), k.lifted,
			action.Responder(catalogue.ImapDeepTestMonitor), may(action, deep), may(action, alone),
			may(action, frontEnd), may(action, canary))
		for _, word := range []struct {
			text string
			is   bool
		}{{"restarts", action.Restarts()}, {"mends", k.mends}, {"informs", k.informs}, {"again", k.again}} {
			if word.is {
				got += " " + word.text
			}
		}
		if got != want[action] {
			t.Errorf("%s:\n%s, want\n%s", action, got, want[action])
		}
		if actionOf(k.id) != action || isRestart(k.id) != action.Restarts() || !action.Known() || action.Help() == "" {
			t.Errorf("%s is not found by its name %s", action, k.id)
		}
		if k.lifted != "" && actionOf(k.lifted) != "" {
			t.Errorf("%s is taken for an action", k.lifted)
		}
	}
	if none := Action("none"); none.Known() || none.Restarts() || len(kinds) != len(want) {
		t.Errorf("%d actions", len(kinds))
	}
}

// What a failure says of its cause decides which steps help. People mend certificates, names and full volumes.
func TestStepsThatHelp(t *testing.T) {
	server := Case{Server: "mbx1", Database: "db1"}
	for _, test := range []struct {
		failure *health.Result
		helps   string // of a service's restart, a failover and a machine's restart
		people  bool
	}{
		{nil, "service failover machine", false},
		{&health.Result{Dependency: health.Networking}, "service failover machine", false},
		{&health.Result{Dependency: health.InformationStore}, "service failover machine", false},
		{&health.Result{Dependency: health.MailboxServerAuthentication}, "service failover", false},
		{&health.Result{Dependency: health.Networking, Phase: health.PhaseCertificate}, "failover", true},
		{&health.Result{Dependency: health.Networking, Phase: health.PhaseResolve}, "failover", true},
		{&health.Result{Dependency: health.InformationStore, Phase: health.PhaseAppend}, "failover", true},
	} {
		var helps []string
		for _, step := range []struct {
			name   string
			action Action
		}{{"service", RestartService}, {"failover", Failover}, {"machine", RestartServer}} {
			if server.unfit(step.action, test.failure) == "" {
				helps = append(helps, step.name)
			}
		}
		if got := strings.Join(helps, " "); got != test.helps {
			t.Errorf("%+v: %q may help, want %q", test.failure, got, test.helps)
		}
		if test.failure != nil && (needsPeople(test.failure) != "") != test.people {
			t.Errorf("%+v: people are needed for %q", test.failure, needsPeople(test.failure))
		}
	}
}

// The monitors of mailbox servers lead, the server's own first, and those that look through everything come last.
func TestOrderOfMonitors(t *testing.T) {
	names := []string{
		catalogue.ImapSelfTestMonitor, catalogue.ImapDeepTestMonitor,
		catalogue.ProxyConnectionsFailedGt20PercentMonitor,
		catalogue.ImapProxyTestMonitor, catalogue.ImapCTPMonitor,
	}
	var ids []string
	for _, name := range names {
		ids = append(ids, "IMAP/"+name+"/a", "IMAP/"+name+"/b")
	}
	got := slices.Clone(ids)
	slices.Reverse(got)
	slices.SortFunc(got, compareRank)
	if !slices.Equal(got, ids) {
		t.Errorf("the order is %q", got)
	}

	w := newWorld(t)
	w.set(health.Unhealthy, health.InformationStore,
		"DeepTestMonitor/db6", "DeepTestMonitor/db7", "CTPMonitor/db6", "CTPMonitor/db5", "ProxyTestMonitor")
	s := snapshot{all: w.monitors, active: func(database string) string { return w.active[database] }, percent: 34}
	want := map[string]string{"mbx6": "IMAP.Protocol/ImapDeepTestMonitor/db6", "": "IMAP.Proxy/ImapProxyTestMonitor"}
	if leads := s.leaders(); fmt.Sprint(leads) != fmt.Sprint(want) {
		t.Errorf("leaders are %v, want %v", leads, want)
	}
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx6")
	if leads := s.leaders(); leads["mbx6"] != "IMAP.Protocol/ImapSelfTestMonitor/mbx6" {
		t.Errorf("leaders are %v", leads)
	}
}
