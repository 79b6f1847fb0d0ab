package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"portico/fleet"
	"portico/health/admin"
	"portico/health/console"
	"portico/health/exposition"
)

// apiServer answers HTTP: the API, health checks, metrics and the console.
type apiServer struct {
	server  *admin.Server // guards itself; nil before the start
	address net.Addr      // as opened; nil if it listens on none
}

// startAPI opens the address and the socket of HTTP.
func (s *service) startAPI() (err error) {
	config, access := s.current().config, s.current().access
	s.api.server, err = admin.New(admin.Options{Gatherer: s.gatherer(), Registerer: s.metrics, Checks: s.checks(),
		API: s.nouns(), Console: console.Handler(), Access: access, Log: s.log.Logger, Name: nodeName(),
		Node:   func(name string) (http.Handler, error) { return s.current().node(name) },
		Others: func() []fleet.Node { return s.current().others() }})
	if err != nil {
		return err
	}
	if address := config.Admin.Address; address != "" {
		ln, err := admin.ListenTCP(context.Background(), address, access)
		if err != nil {
			return fmt.Errorf("admin.address %s: %w", address, err)
		}
		s.api.address = ln.Addr()
		s.serveAPI(ln)
	}
	if path := config.Admin.Socket; path != "" {
		ln, err := admin.ListenUnix(context.Background(), path, config.Admin.SocketGroup)
		if err != nil {
			return fmt.Errorf("admin.socket: %w", err)
		}
		s.serveAPI(ln)
	}
	return nil
}

// gatherer is what /metrics shows.
func (s *service) gatherer() exposition.Histograms {
	return exposition.Histograms{From: s.metrics,
		Classic: func() bool { return s.current().config.Metrics.ClassicHistograms }}
}

// nouns answer the API, each in the file of its name, logAPI in protocollog.go.
func (s *service) nouns() admin.API {
	return admin.API{
		Node: nodeAPI{s}, Servers: serversAPI{s}, Databases: databasesAPI{s}, Users: usersAPI{s},
		Sessions: sessionsAPI{s}, Stats: statsAPI{s}, Settings: settingsAPI{s}, Penalties: penaltiesAPI{s},
		Monitors: monitorsAPI{s}, Probes: probesAPI{s}, Overrides: overridesAPI{s}, Components: componentsAPI{s},
		Recovery: recoveryAPI{s}, Maintenance: maintenanceAPI{s}, Log: logAPI{s.protocol, s}, Store: storeAPI{s},
	}
}

func (s *service) serveAPI(ln net.Listener) {
	s.log.Info().Stringer("address", ln.Addr()).Msg("HTTP server started")
	s.background.group.Go(func() { s.background.fail(s.api.server.Serve(ln)) })
}

// apiPatience is how long requests may take to end when the service stops.
const apiPatience = time.Second

// shutdown ends requests, within apiPatience. Requests that take longer are no error.
func (a *apiServer) shutdown(ctx context.Context) error {
	if a.server == nil {
		return nil
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiPatience)
	defer cancel()
	if err := a.server.Shutdown(patience); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
