package importer

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"portico/configs"
)

// database is how a source connects to an SQL database.
type database struct {
	driver                           configs.SQLDriver
	host, port, name, user, password string
	others                           []string // parameters that Portico's connection does not have
}

// dsn writes the connection string into a file, and returns the file's name. TLS with verification is the default for
// another machine.
func (d *draft) dsn(x *directive, db database) string {
	if variable.MatchString(db.host + " " + db.port + " " + db.name + " " + db.user + " " + db.password) {
		d.decide(x, "directory", "the connection has a variable in it, which portico config import does not know: put "+
			"its value into the file of dsn_file")
	}
	if len(db.others) > 0 {
		d.decide(x, "directory", "without the parameters %.100s of the connection (docs/directory.md)",
			comment(strings.Join(db.others, ", ")))
	}
	socket := strings.HasPrefix(db.host, "/")
	local := socket || db.host == "" || loopback(db.host)
	var text string
	if db.driver == configs.Postgres {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(db.user, db.password), Path: "/" + db.name}
		query := url.Values{"sslmode": {map[bool]string{true: "disable", false: "verify-full"}[local]}}
		switch {
		case socket:
			query.Set("host", db.host)
		case db.host == "":
			query.Set("host", "/var/run/postgresql")
		default:
			u.Host = withPort(db.host, db.port)
		}
		if socket && db.port != "" {
			query.Set("port", db.port)
		}
		u.RawQuery = query.Encode()
		text = u.String()
	} else {
		at := "tcp(" + net.JoinHostPort(db.host, orDefault(db.port, "3306")) + ")"
		switch {
		case socket:
			at = "unix(" + db.host + ")"
		case db.host == "" || db.host == "localhost":
			at = "unix(/run/mysqld/mysqld.sock)"
		}
		text = fmt.Sprintf("%s:%s@%s/%s", db.user, db.password, at, db.name)
		if !local {
			text += "?tls=true"
		}
	}
	if !local {
		d.decide(x, "directory", "Portico uses TLS to this database and verifies its certificate. If the database has "+
			"no TLS, change the end of the connection string (docs/directory.md)")
	}
	return d.file(x, "directory.dsn", text+"\n", true)
}

func orDefault(text, byDefault string) string {
	if text == "" {
		return byDefault
	}
	return text
}

func withPort(host, number string) string {
	if number == "" {
		return host
	}
	return net.JoinHostPort(host, number)
}

// query is a query of the source's, as Portico asks it.
type query struct {
	text     string            // finds the user's place
	verify   string            // finds the user's password; "" if the source does not verify one
	literals map[string]string // columns that are the same for everybody: host, port, ssl
	unknown  []string          // columns without a counterpart
}

var (
	selectList = regexp.MustCompile(`(?is)^\s*SELECT\s+(.*?)\s+FROM\s(.*)$`)
	alias      = regexp.MustCompile("(?is)^(.*?)\\s+(?:AS\\s+)?[\"'`]?(\\w+)[\"'`]?$")
	column     = regexp.MustCompile("^[\"'`]?\\w+[\"'`]?(?:\\.[\"'`]?(\\w+)[\"'`]?)?$")
	literal    = regexp.MustCompile(`^'([^']*)'$|^(\d+)$|^(?i:NULL)$`)

	// A query that decrypts has a key in it, which is a secret.
	crypts = regexp.MustCompile(`(?i)\w*crypt\w*\s*\(`)

	// A variable in quotes: the whole of the quoted text must be the variable.
	variables = []struct {
		pattern *regexp.Regexp
		field   string
	}{
		{regexp.MustCompile(`'%\{\s*(?:user|original_user)\s*(?:\|\s*lower\s*)?\}'|'%L?u'`), "{user}"},
		{regexp.MustCompile(`'%\{\s*(?:username|user\s*\|\s*username)\s*(?:\|\s*lower\s*)?\}'|'%L?n'`), "{local}"},
		{regexp.MustCompile(`'%\{\s*(?:domain|user\s*\|\s*domain)\s*(?:\|\s*lower\s*)?\}'|'%L?d'`), "{domain}"},
	}
	ownParameter = regexp.MustCompile(`\{(user|local|domain)\}`)
	anyVariable  = regexp.MustCompile(`%[A-Za-z{]`)
)

// parameters replaces Dovecot's variables by Portico's. It fails if one is left.
func parameters(text string) (string, bool) {
	for _, v := range variables {
		text = v.pattern.ReplaceAllString(text, v.field)
	}
	left := ownParameter.ReplaceAllString(text, "")
	return text, left != text && !anyVariable.MatchString(left) && !strings.ContainsAny(left, "{}")
}

// parseQuery translates a password_query of Dovecot. names are what fields of Dovecot are called in the query's result,
// by column; a column that is not among them is its own field.
func parseQuery(text string, driver configs.SQLDriver, names map[string]string) (q query, ok bool) {
	text = strings.TrimSuffix(strings.TrimSpace(text), ";")
	text, ok = parameters(text)
	parts := selectList.FindStringSubmatch(text)
	if !ok || parts == nil || crypts.MatchString(text) || strings.Count(text, "'")%2 != 0 {
		return q, false
	}
	q.literals = map[string]string{}
	var user, domain, server, password string
	full := false
	for _, item := range splitList(parts[1]) {
		expression, name := item, ""
		if m := alias.FindStringSubmatch(item); m != nil {
			expression, name = m[1], m[2]
		} else if m := column.FindStringSubmatch(item); m != nil {
			name = orDefault(m[1], strings.Trim(item, "\"'`"))
		}
		name = strings.ToLower(name)
		name = orDefault(names[name], name)
		value := literal.FindStringSubmatch(expression)
		switch {
		case name == "host" && value == nil:
			server = expression
		case name == "domain" && value == nil:
			domain = expression
		case name == "destuser" || name == "user" && user == "" || name == "username" && user == "":
			user = expression
			full = name != "username" // it is the whole name
		case name == "password" && value == nil:
			password = expression
		case value != nil:
			q.literals[name] = value[1] + value[2]
		default:
			q.unknown = append(q.unknown, name)
		}
	}
	if domain != "" && user != "" && !full { // Dovecot joins the columns username and domain
		user = map[configs.SQLDriver]string{configs.Postgres: user + " || '@' || " + domain,
			configs.MySQL: "CONCAT(" + user + ", '@', " + domain + ")"}[driver]
	}
	as := map[configs.SQLDriver]string{configs.Postgres: ` AS "user"`, configs.MySQL: " AS user"}[driver]
	columns := []string{}
	if user != "" {
		columns = append(columns, user+as)
	}
	if password != "" {
		q.verify = "SELECT " + strings.Join(append(columns, password+" AS password"), ", ") + " FROM " + parts[2]
	}
	if server != "" {
		q.text = "SELECT " + strings.Join(append(columns, server+" AS server"), ", ") + " FROM " + parts[2]
	}
	return q, true
}

// splitList splits at the commas that are in no parentheses or quotes.
func splitList(text string) (items []string) {
	depth, begin := 0, 0
	var quote byte
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			items = append(items, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	return append(items, strings.TrimSpace(text[begin:]))
}

// sqlMap takes over perdition's map in a database: HOST:PORT:DATABASE:TABLE:USER:PASSWORD:SERVER:USER:PORT, of which
// the last four are columns.
func (p *perdition) sqlMap(library string, x *directive) {
	fields := []string{"localhost", "", "dbPerdition", "tblPerdition", "perdition", "perdition", "servername", "user",
		"port"}
	at := x
	if x == nil {
		at = p.options["map_library"]
	} else {
		for i, field := range strings.Split(x.arg(0), ":") {
			if i < len(fields) {
				fields[i] = field
			}
		}
	}
	if p.isMapLibrary(library, "odbc") {
		p.decide(at, "directory", "Portico asks PostgreSQL, MySQL and MariaDB, not ODBC: write a source of sql")
		return
	}
	db := database{driver: configs.MySQL, host: strings.Split(fields[0], ",")[0], port: fields[1], name: fields[2],
		user: fields[4], password: fields[5]}
	as := "user"
	if p.isMapLibrary(library, "postgresql") {
		db.driver, as = configs.Postgres, `"user"`
	}
	for _, name := range []string{fields[3], fields[6], fields[7]} {
		if !word.MatchString(name) {
			p.decide(at, "directory", "names of tables and columns must be words: write a source of sql")
			return
		}
	}
	text := fmt.Sprintf("SELECT %s AS %s, %s AS server FROM %s WHERE %s = {user}", fields[7], as, fields[6], fields[3],
		fields[7])
	p.config.Directory.Sources = append(p.config.Directory.Sources, configs.DirectorySource{
		SQL: configs.SQLDirectory{Driver: db.driver, DSNFile: p.dsn(at, db), Query: text}})
	p.take(at, "directory.sources[0].sql")
	p.decide(at, "directory", "each %s must be the name of one of mailbox_servers. A port in it, or in column %s, and "+
		"a user name in front of it, are not taken over", fields[6], fields[8])
}

var word = regexp.MustCompile(`^[A-Za-z_]\w*$`)
