package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"portico/configs"
	"portico/health/admin"
	"portico/health/console"
	"portico/health/exposition"
)

// apiServer answers HTTP: the API, health checks, metrics and the console.
type apiServer struct {
	server  *admin.Server // guards itself; nil before the start
	address net.Addr      // as opened; nil if it listens on none
	open    []openAPI     // for all but earlier processes
}

// openAPI is a listener of HTTP.
type openAPI struct {
	net.Listener
	name string // for another process
}

// startAPI opens the address and the socket of HTTP.
func (s *service) startAPI() (err error) {
	config, access := s.current().config, s.current().access
	s.api.server, err = admin.New(admin.Options{Gatherer: s.gatherer(), Registerer: s.metrics,
		Alive: s.figures.alive, Checks: s.checks(), API: s.nouns(), Console: console.Handler(), Access: access,
		Log: s.log.Logger, Name: s.config.node(),
		Node: s.node, Others: s.others})
	if err != nil {
		return err
	}
	if err := s.openHTTP(config, access); err != nil {
		s.api.abandon()
		return err
	}
	for _, open := range s.api.open {
		s.serveAPI(open.Listener)
	}
	return nil
}

// openHTTP opens the address and the socket of HTTP, or takes them from the service manager or the process before.
func (s *service) openHTTP(config *configs.Config, access admin.Access) error {
	address, path, names := config.Admin.Address, config.Admin.Socket, make(listenerNames)
	byAddress, bySocket := names.next(kindHTTP, address), names.next(kindSocket, path)
	if address != "" {
		leaving := s.previous.leaving(append(imapNames(config.Listeners), byAddress, bySocket))
		ln, err := s.previous.listener(byAddress, adoptTCP, func() (net.Listener, error) {
			if file := s.given().at("tcp", address); file != nil {
				return net.FileListener(file)
			}
			return leaving.beside(net.ListenConfig{}, func(lc *net.ListenConfig) (net.Listener, error) {
				return admin.ListenTCP(context.Background(), lc, address, access)
			})
		})
		if err != nil {
			return fmt.Errorf("admin.address %s: %w", address, err)
		}
		s.api.address = ln.Addr()
		s.api.open = append(s.api.open, openAPI{ln, byAddress})
	}
	if path != "" {
		ln, err := s.previous.listener(bySocket,
			func(file *os.File) (net.Listener, error) { return admin.AdoptUnix(file, path) },
			func() (net.Listener, error) {
				if file := s.given()[path]; file != nil {
					return admin.ShareUnix(file, path)
				}
				return admin.ListenUnix(context.Background(), path, config.Admin.SocketGroup)
			})
		if err != nil {
			return fmt.Errorf("admin.socket: %w", err)
		}
		s.api.open = append(s.api.open, openAPI{ln, bySocket})
	}
	return nil
}

// given are the sockets of the service manager.
func (s *service) given() activated { return s.clients.listeners.given }

// own has this process remove the socket in the end.
func (a *apiServer) own() { a.removeSockets(true) }

// leave leaves the listeners to another process. finish returns when the requests that are here are answered, among
// them the one for the upgrade.
func (a *apiServer) leave() (finish func()) {
	a.removeSockets(false)
	var left []func(context.Context) error
	for _, open := range a.open {
		left = append(left, a.server.Leave(open.Listener))
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
		defer cancel()
		for _, finish := range left {
			finish(ctx)
		}
	}
}

func (a *apiServer) removeSockets(remove bool) {
	for _, open := range a.open {
		if socket, ok := open.Listener.(interface{ SetUnlinkOnClose(bool) }); ok {
			socket.SetUnlinkOnClose(remove)
		}
	}
}

// abandon closes what does not answer yet.
func (a *apiServer) abandon() {
	for _, open := range a.open {
		open.Close()
	}
	a.open = nil
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
		Canaries: canariesAPI{s},
		Sessions: sessionsAPI{s}, Stats: statsAPI{s}, Settings: settingsAPI{s}, Penalties: penaltiesAPI{s},
		Monitors: monitorsAPI{s}, Probes: probesAPI{s}, Overrides: overridesAPI{s}, Components: componentsAPI{s},
		Recovery: recoveryAPI{s}, Maintenance: maintenanceAPI{s}, Log: logAPI{s.protocol, s}, Store: storeAPI{s},
		Service: serviceAPI{s}, Cluster: clusterAPI{s}, Configurations: configAPI{s},
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
