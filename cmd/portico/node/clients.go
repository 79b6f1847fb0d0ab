package node

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portico/cluster/counts"
	"portico/configs"
	"portico/protolog"
	"portico/proxy"
	"portico/proxy/certs"
	"portico/proxy/relay"
	"portico/sleep"
)

// clientSide takes clients: by listeners, through sign-in (server), to the relay. Each part guards itself, and does not
// change after start.
type clientSide struct {
	listeners    listeners
	server       *proxy.Server // owns relay; nil before start
	relay        relay.Relay
	tickets      *certs.Tickets
	certificates *certificateMetrics
	config       *configuration
	log          *nodeLog
	seed         []byte // of the site's counts; nil for a node that counts alone
}

func newClientSide(config *configuration, log *nodeLog, background *background) *clientSide {
	return &clientSide{config: config, log: log, listeners: listeners{log: log.Logger,
		group: &background.group, ended: background.fail}}
}

// countWith reads what the nodes of a site need to add up their counts, before start. If that cannot be read, this node
// counts alone until its next start, as it does without a site.
func (c *clientSide) countWith(ctx context.Context, site *membership) {
	if site == nil {
		return
	}
	var err error
	if c.seed, err = counts.Seed(ctx, site.store, cryptorand.Reader); err != nil {
		c.log.report("limits and penalties count on this node alone until its next start", err)
	}
}

// openTLS makes the first key of session tickets, and the metrics of certificates.
func (c *clientSide) openTLS(metrics prometheus.Registerer, previous *takeover) (err error) {
	c.certificates = newCertificateMetrics(metrics)
	c.tickets, err = certs.NewTickets(cryptorand.Reader)
	if err == nil && previous != nil {
		c.tickets.Adopt(previous.Tickets)
	}
	return err
}

// useTLS has clients see the certificates of a front.
func (c *clientSide) useTLS(f *front) error {
	if f.tls == nil {
		return nil
	}
	if err := c.tickets.Use(f.tls); err != nil {
		return err
	}
	c.certificates.set(f.certificates)
	return nil
}

// start starts relay and server. Each loop and each sign-in thread keeps a processor of the Go scheduler to itself. As
// many as the machine has are for everything else: password checks, lookups, garbage collection, HTTP.
func (c *clientSide) start(cpus int, protocol *protolog.Log, metrics prometheus.Registerer, previous *takeover) error {
	config := c.config.current().config
	runtime.GOMAXPROCS(loops(config, cpus) + signinThreads(config, cpus) + cpus)
	if err := c.startRelay(relayOptions(config, cpus), protocol); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	c.bound(config)
	var memory *proxy.Memory
	if previous != nil {
		memory = &previous.Memory
	}
	var err error
	c.server, err = proxy.New(proxy.Options{
		Settings: c.config.current().settings(), Relay: c.relay, Log: c.log.sink.patient(c.log.Logger),
		Registerer: metrics, SigninThreads: signinThreads(config, cpus),
		ProtocolLog: protocol, KeptDescriptors: keptDescriptors(descriptorLimit()),
		Memory: memory, Seed: c.seed, Random: cryptorand.Reader, Now: time.Now, Sleep: sleep.For,
	})
	return err
}

func (c *clientSide) startRelay(options relay.Options, protocol *protolog.Log) (err error) {
	options.Watch, options.Panicked = proxy.Watch(protocol), proxy.LogPanics(c.log.Logger, time.Now)
	options.FellBack = func(reason error) {
		c.log.Warn().Err(reason).Msg("event loops do not work here, goroutines carry sessions without command limits")
	}
	if c.relay, err = relay.New(options); err != nil {
		return err
	}
	if loops, ok := c.relay.(interface{ IO() (relay.IO, error) }); ok {
		if _, err := loops.IO(); err != nil {
			c.log.Info().Err(err).Msg("io_uring not available: event loops use epoll")
		}
	}
	return nil
}

// bound tells the relay what holds for all sessions.
func (c *clientSide) bound(config *configs.Config) {
	c.relay.Retime(config.Settings.AuthenticatedConnectionTimeout, config.KeepaliveIdle)
	c.relay.Limit(config.Settings.MaxCommandsPerSecond, config.Settings.MaxCommandsBurst)
}

// setupNiceness is that of all threads but the loops'. Sign-ins then take a little longer on a busy machine, and
// nobody else's command waits for them.
const setupNiceness = 10

// favourLoops lets the loops have the processor before everything else. It changes the whole process for good.
func (c *clientSide) favourLoops() {
	loops, ok := c.relay.(interface{ LowerOthers(niceness int) error })
	if !ok {
		return
	}
	if err := loops.LowerOthers(setupNiceness); err != nil {
		c.log.Warn().Err(err).Msg("sign-ins may delay commands")
	}
}

// shutdown ends sessions when they have no open command, or at ctx's end, and says whether all ended by themselves.
func (c *clientSide) shutdown(ctx context.Context) (inOrder bool) {
	if c.server == nil {
		return true
	}
	inOrder = c.server.Shutdown(ctx) == nil
	runtime.SetDefaultGOMAXPROCS()
	return inOrder
}
