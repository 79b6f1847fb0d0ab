package configs

import (
	"net"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Cluster makes this Portico one node of a site: nodes with the same etcd agree on what changes at run time. Without
// endpoints of etcd there is no cluster, and the node keeps all in its own data_dir.
type Cluster struct {
	Name string `yaml:"name" reload:"no"` // of this node; "" for the host's name
	// Advertise is the URL at which other nodes reach this node's admin.address; "" for none.
	Advertise string `yaml:"advertise" reload:"no"`
	CA        string `yaml:"ca" file:"relative" reload:"no"` // PEM, of other nodes' admin.address; "" for the system's
	// SecretFile holds what all nodes of a site share and etcd must not know; see ReadClusterSecret.
	SecretFile string `yaml:"secret_file" file:"relative" reload:"no"`
	// Patience is how long recovery waits for an absent node before it runs Fence, or gives up.
	Patience time.Duration `yaml:"patience" range:"1s..1h"`
	// Fence makes sure that an absent node serves nobody. It gets the name of the node.
	Fence Hook `yaml:"fence"`
	Etcd  Etcd `yaml:"etcd"`
}

// Etcd is where a site's etcd is, and by what it lets this node in.
type Etcd struct {
	Endpoints    []string `yaml:"endpoints" reload:"no"` // https://HOST:PORT
	Prefix       string   `yaml:"prefix" reload:"no"`    // of all keys; two sites may share one etcd
	CA           string   `yaml:"ca" file:"relative" reload:"no"`
	Cert         string   `yaml:"cert" file:"relative" reload:"no"` // a client certificate, and its key
	Key          string   `yaml:"key" file:"relative" reload:"no"`
	User         string   `yaml:"user" reload:"no"`
	PasswordFile string   `yaml:"password_file" file:"relative" reload:"no"` // see ReadPassword
}

// Enabled reports whether this Portico is a node of a cluster.
func (c Cluster) Enabled() bool { return len(c.Etcd.Endpoints) > 0 }

func defaultCluster() Cluster {
	return Cluster{Patience: time.Minute, Fence: Hook{Timeout: time.Minute}, Etcd: Etcd{Prefix: "/portico"}}
}

// sharedParts are the parts of the configuration that the nodes of a cluster need to have the same, but for
// cluster.fence.
var sharedParts = []string{"mailbox_servers", "databases", "routing", "directory"}

// SharedParts returns the parts that the nodes of a cluster need to have the same, as text by name. Nodes may have a
// file in different places, so of a file the text says only whether there is one, and so it is with cluster.fence.
func (c *Config) SharedParts() map[string]string {
	parts := map[string]string{"cluster.fence": strconv.FormatBool(c.Cluster.Fence.IsSet())}
	for _, part := range sharedParts {
		parts[part] = ""
	}
	files := make(map[string]bool)
	walk("", reflect.ValueOf(c).Elem(), func(f field) { files[f.path] = f.tag.Get("file") != "" })
	all := values(c)
	for _, path := range all.paths {
		text := all.texts[path]
		if files[path] && text != "" {
			text = "a file"
		}
		for _, part := range sharedParts {
			if rest, is := strings.CutPrefix(path, part); is && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				parts[part] += path + "=" + text + "\n"
			}
		}
	}
	return parts
}

// minSecretLength is the least length of a cluster's secret, in bytes: what etcd holds can be tried offline.
const minSecretLength = 32

// ReadClusterSecret returns the secret of a cluster in a file: the text without surrounding white space. Never log it.
func ReadClusterSecret(path string) (string, error) { return readWord(path, "secret", minSecretLength) }

// etcdPrefix is a path, so that no site's keys are among another's.
var etcdPrefix = regexp.MustCompile(`^(/[A-Za-z0-9._-]{1,64}){1,4}$`)

// cluster checks how this node finds the others.
func (v *validator) cluster() {
	of := v.c.Cluster
	if v.unread("cluster.etcd.endpoints") {
		return
	}
	if !of.Enabled() {
		v.withoutCluster()
		return
	}
	if of.Name != "" && !IsName(of.Name) {
		v.fail("cluster.name", nameRule)
	}
	if of.Advertise != "" {
		v.clusterURL("cluster.advertise", of.Advertise, "a token for this node would be sent in plain text")
	}
	if of.SecretFile == "" {
		v.failKey("cluster", "secret_file is missing: all nodes need the same secret, of at least %d characters",
			minSecretLength)
	} else if _, err := ReadClusterSecret(of.SecretFile); err != nil {
		v.failKey("cluster.secret_file", "%s", err)
	} else {
		v.secret("cluster.secret_file", of.SecretFile)
	}
	v.authorities("cluster.ca", of.CA)
	v.hook("cluster.fence", of.Fence)
	v.etcd("cluster.etcd", of.Etcd)
}

// withoutCluster refuses keys that do nothing.
func (v *validator) withoutCluster() {
	usual := make(map[string]any)
	without := defaultCluster()
	walk("cluster", reflect.ValueOf(&without).Elem(), func(f field) { usual[f.path] = f.value.Interface() })
	walk("cluster", reflect.ValueOf(&v.c.Cluster).Elem(), func(f field) {
		of := f.value.Kind()
		if of == reflect.Struct || of == reflect.Slice && f.value.Len() == 0 {
			return
		}
		if !reflect.DeepEqual(f.value.Interface(), usual[f.path]) {
			v.failKey(f.path, "needs cluster.etcd.endpoints: without them there is no cluster")
		}
	})
}

func (v *validator) etcd(path string, of Etcd) {
	schemes := make(map[string]bool)
	for i, endpoint := range of.Endpoints {
		if u := v.clusterURL(item(join(path, "endpoints"), i), endpoint, "everybody on the network path can read and "+
			"change what the site agrees on"); u != nil {
			schemes[u.Scheme] = true
		}
	}
	if len(schemes) > 1 {
		v.failKey(join(path, "endpoints"), "must be all https or all http")
	}
	if !etcdPrefix.MatchString(of.Prefix) {
		v.fail(join(path, "prefix"), "must be a path such as /portico: one to four parts of letters, digits, dots, "+
			"dashes and underscores, each with a slash before it")
	}
	v.authorities(join(path, "ca"), of.CA)
	if of.Cert+of.Key != "" {
		v.pair(path, KeyPair{of.Cert, of.Key})
	}
	if schemes["http"] && of.CA+of.Cert+of.Key != "" {
		v.failKey(join(path, "endpoints"), "must be https URLs for ca, cert and key")
	}
	switch {
	case of.User == "" && of.PasswordFile != "":
		v.failKey(path, "user is missing: the password is that user's")
	case of.User != "" && of.PasswordFile == "":
		v.failKey(path, "password_file is missing: Portico reads the password of %s from it", of.User)
	}
	v.password(join(path, "password_file"), of.PasswordFile)
}

// clusterURL checks the URL of a host, and returns it if it is one.
func (v *validator) clusterURL(path, text, plain string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		v.fail(path, "must be an https URL, not %q", text)
		return nil
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		v.fail(path, "must have a host and a port and no more, not %q", text)
	case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")):
		v.fail(path, "%s: use https", plain)
	}
	return u
}
