package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"time"

	"portico/backend/secret"
	"portico/configs"
	"portico/fleet"
	"portico/health/admin"
	"portico/proxy/wire"
)

// nodeAnswers bounds how long another node may take to begin its answer: moves take minutes.
const nodeAnswers = 6 * time.Minute

// newNodes returns the ways to the other nodes that a configuration names: whoever may ask here is passed on with the
// token or the client certificate for there.
func newNodes(config *configs.Config) (map[string]http.Handler, error) {
	all := make(map[string]http.Handler)
	for name, node := range config.Nodes {
		token, trust, err := nodeAccess(node)
		if err != nil {
			return nil, fmt.Errorf("nodes.%s.%w", name, err)
		}
		if all[name], err = newWay(nameOfNode(config), name, node.Address, token, trust); err != nil {
			return nil, fmt.Errorf("nodes.%s.address: %w", name, err)
		}
	}
	return all, nil
}

// newWay returns the way from a node to another one, which is at an address and lets the first one in by a token or by
// the certificate in trust.
func newWay(from, name, address string, token secret.Value, trust *tls.Config) (http.Handler, error) {
	to, err := url.Parse(address)
	if err != nil {
		return nil, secret.WithoutURL(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Authorization") // it is for this node
			if token != "" {
				r.Out.Header.Set("Authorization", "Bearer "+token.Reveal())
			}
			admin.PassOn(r.Out, r.In.Context(), from)
		},
		Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true,
			ResponseHeaderTimeout: nodeAnswers, MaxResponseHeaderBytes: maxNodeHeader},
		ModifyResponse: onlyAnswer,
		ErrorLog:       log.New(io.Discard, "", 0), // the answer says it
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			admin.Refuse(w, admin.Of(admin.KindUnreachable,
				fmt.Errorf("node %s: %w", name, secret.WithoutURL(err))))
		},
	}, nil
}

// nodeAccess returns by what another node lets this one in: a token, "" for none, and a client certificate.
func nodeAccess(node configs.Node) (token secret.Value, trust *tls.Config, err error) {
	if node.TokenFile != "" {
		text, err := configs.ReadToken(node.TokenFile)
		if err != nil {
			return "", nil, fmt.Errorf("token_file: %w", err)
		}
		token = secret.Value(text)
	}
	if trust, err = trusting(node.CA); err != nil {
		return "", nil, fmt.Errorf("ca: %w", err)
	}
	if node.TLS.Cert != "" {
		cert, err := tls.LoadX509KeyPair(node.TLS.Cert, node.TLS.Key)
		if err != nil {
			return "", nil, fmt.Errorf("tls: %w", err)
		}
		trust.Certificates = []tls.Certificate{cert}
	}
	return token, trust, nil
}

// maxNodeHeader bounds the header of another node's answer, in bytes.
const maxNodeHeader = 16 << 10

// passedOn are the fields of another node's header that are passed on. Others would let it set cookies, for example, in
// the browser of whoever asks.
var passedOn = []string{"Allow", "Content-Length", "Content-Type", "Etag"}

// onlyAnswer takes all from another node's response that is no answer of the API. A browser or a command must not
// follow its redirections, and its 401 is about the token for it and not about the sender of the request.
func onlyAnswer(response *http.Response) error {
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized:
		return errors.New("it does not accept the token or the certificate that the configuration has for it")
	case status < http.StatusOK, status >= 300 && status < 400, status == http.StatusProxyAuthRequired:
		return fmt.Errorf("it is another version of Portico, or not Portico: it answers %d %s", status,
			http.StatusText(status))
	}
	maps.DeleteFunc(response.Header, func(field string, _ []string) bool { return !slices.Contains(passedOn, field) })
	return nil
}

// ways are the ways to the other nodes, by name: those that are registered in this one's cluster, and those that the
// configuration names.
func (s *service) ways() map[string]http.Handler {
	all := s.cluster.ways()
	maps.Copy(all, s.current().nodes)
	return all
}

// node returns the way to another node.
func (s *service) node(name string) (http.Handler, error) {
	if way, ok := s.ways()[name]; ok {
		return way, nil
	}
	if slices.Contains(s.current().tier().Servers(), name) {
		return nil, admin.Unknown(fmt.Errorf("%s is a mailbox server, not a node in the configuration", name))
	}
	return nil, admin.NoSuch("node", name, append(s.nodeNames(), s.config.node()))
}

// others are the other nodes, sorted by name.
func (s *service) others() (all []fleet.Node) {
	ways := s.ways()
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		all = append(all, fleet.Node{Name: name, Handler: ways[name]})
	}
	return all
}

// nodeNames lists the other nodes.
func (s *service) nodeNames() []string { return slices.Sorted(maps.Keys(s.ways())) }

// nameOfNode is the name of a node with a configuration.
func nameOfNode(config *configs.Config) string { return cmp.Or(config.Cluster.Name, nodeName()) }

// nodeName is this machine's name.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Sprint("unknown: ", err)
	}
	return name
}

// nodeAPI implements admin.Node.
type nodeAPI struct{ s *service }

// Names implements admin.Node.
func (c nodeAPI) Names() admin.Names { return c.s.names() }

// Bundle implements admin.Node.
func (c nodeAPI) Bundle(ctx context.Context) (where string, err error) {
	return c.s.bundle(ctx, c.s.alerts.escalator.Open())
}

// names lists the names that requests may have.
func (s *service) names() admin.Names {
	tier := s.current().tier()
	names := admin.Names{
		Node: s.config.node(), Nodes: append([]string{}, s.nodeNames()...),
		Servers: tier.Servers(), Databases: tier.Databases(),
		Commands: wire.VerbNames(), Blocked: []string{},
	}
	for _, server := range names.Servers {
		if s.mailbox.active.Blocked(server) {
			names.Blocked = append(names.Blocked, server)
		}
	}
	return names
}
