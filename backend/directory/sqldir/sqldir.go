// Package sqldir asks a database who a user is and whether a password is right: PostgreSQL, or MySQL and MariaDB.
//
// The operator writes the query. What a client has said is always a parameter of it and never a part of its text, and
// the answer is one row whose columns go by their names. The package knows nothing of sign-in. What it is asked with
// and what it answers is package directory's.
package sqldir

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"portico/backend/directory"
	"portico/backend/secret"
)

// How long a connection is kept: unused, so that a reload leaves none behind for long, and at all, so that a server
// that has come back gets its share again.
const (
	idleTime = time.Minute
	maxAge   = 30 * time.Minute
)

// maxValue bounds a column's value, in bytes.
const maxValue = 4 << 10

// Options of a Directory.
type Options struct {
	Driver string // "postgres", or "mysql" for MariaDB too
	// DSN says what to connect to, in the words of the driver. It must say what to do about TLS (sslmode, tls) unless
	// the server is on this machine.
	DSN      secret.Value
	Query    string // a directory.Template; no field may stand in quotes
	InFlight int    // connections at once; at least 1
	// Report receives each row that was found for another name; it may be nil.
	Report func(error)
}

// Directory is a directory.Source and a directory.Verifier. It is safe for concurrent use.
type Directory struct {
	db          *sql.DB
	query       string
	args        []string               // the query's parameters, by their fields
	comparisons []comparison           // what the query's last columns are compared with
	seen        atomic.Pointer[string] // a hash, to judge those by who have none
	report      func(error)
}

// New returns a Directory. It opens no connection.
func New(o Options) (*Directory, error) {
	open, ok := drivers[o.Driver]
	if !ok {
		return nil, fmt.Errorf("there is no SQL driver %q", o.Driver)
	}
	if o.InFlight < 1 {
		return nil, fmt.Errorf("InFlight must be at least 1, is %d", o.InFlight)
	}
	d := &Directory{report: o.Report}
	var err error
	if d.query, d.args, d.comparisons, err = prepare(o.Query, open.parameter); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	connector, err := open.connect(o.DSN.Reveal())
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	d.db = sql.OpenDB(connector)
	d.db.SetMaxOpenConns(o.InFlight)
	d.db.SetMaxIdleConns(o.InFlight)
	d.db.SetConnMaxIdleTime(idleTime)
	d.db.SetConnMaxLifetime(maxAge)
	return d, nil
}

// mentionsUser finds what may give a query the column user: its name outside of fields, or all columns.
var mentionsUser = regexp.MustCompile(`(?i)(^|[^{\w])user([^}\w]|$)|\*`)

// CheckNames returns an error if it is certain that a query returns no names: then every lookup fails. It opens no
// connection.
func (d *Directory) CheckNames() error {
	if len(d.comparisons) == 0 && !mentionsUser.MatchString(d.query) {
		return errUnnamed
	}
	return nil
}

// Close closes all connections, once the questions under way are answered.
func (d *Directory) Close() { d.db.Close() }

// prepare makes the query's fields its parameters, and adds the columns of its comparisons.
func prepare(query string, parameter func(n int) string) (string, []string, []comparison, error) {
	template, err := directory.ParseTemplate(query)
	if err != nil {
		return "", nil, nil, err
	}
	texts, fields := template.Texts()
	quotes := 0
	for i, field := range fields {
		if quotes += strings.Count(texts[i], "'"); quotes%2 != 0 {
			return "", nil, nil, fmt.Errorf("{%s} is in quotes: it is a parameter and needs none", field)
		}
	}
	texts, comparisons := named(texts, fields)
	var b strings.Builder
	for i, text := range texts {
		b.WriteString(text)
		if i < len(fields) {
			b.WriteString(parameter(i + 1))
		}
	}
	return b.String(), fields, comparisons, nil
}

// Lookup implements directory.Source. The columns are those of directory.Entry.Set, and refuse: if that has a text,
// the user must not sign in. A row that has no user counts only if it is for the name that was asked for.
func (d *Directory) Lookup(ctx context.Context, q directory.Query) (directory.Entry, error) {
	row, err := d.ask(ctx, q)
	if err != nil {
		return directory.Entry{}, err
	}
	return row.entry, nil
}

// Verify implements directory.Verifier, by the column password: a hash that directory.CheckHash knows. q.Login is
// asked for, so that {user} is the one who signs in. The column user is the name that the password belongs to.
func (d *Directory) Verify(ctx context.Context, q directory.Query) (string, error) {
	q.User = q.Login
	row, err := d.ask(ctx, q)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		if hash := d.seen.Load(); hash != nil { // it takes as long as for a user that there is
			directory.CheckHash(*hash, q.Password)
		}
		return "", err
	case err != nil:
		return "", err
	case row.password == "":
		return "", &directory.RefusedError{Reason: "no password in the database"}
	}
	err = directory.CheckHash(row.password, q.Password)
	var refused *directory.RefusedError
	switch {
	case err == nil, errors.Is(err, directory.ErrBadCredential):
		d.seen.Store(&row.password)
		return cmp.Or(row.entry.User, q.Login), err
	case errors.As(err, &refused):
		return "", err
	}
	return "", directory.Unavailable("sql", err)
}

// answer is one row.
type answer struct {
	entry    directory.Entry
	password string
}

// ask runs the query and reads its one row.
func (d *Directory) ask(ctx context.Context, q directory.Query) (answer, error) {
	args := make([]any, len(d.args))
	for i, name := range d.args {
		value, _ := q.Field(name)
		args[i] = value
	}
	rows, err := d.db.QueryContext(ctx, d.query, args...)
	if err != nil {
		return answer{}, unavailable(ctx, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return answer{}, unavailable(ctx, err)
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return answer{}, unavailable(ctx, err)
		}
		return answer{}, directory.ErrNotFound
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return answer{}, unavailable(ctx, err)
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return answer{}, unavailable(ctx, err)
	}
	for i := range values {
		if types[i].DatabaseTypeName() == "BPCHAR" { // PostgreSQL pads the values of CHAR(n)
			values[i].String = strings.TrimRight(values[i].String, " ")
		}
	}
	if rows.Next() {
		return answer{}, directory.Unavailable("sql", errors.New("the query returned more than one row"))
	}
	if err := rows.Err(); err != nil {
		return answer{}, unavailable(ctx, err)
	}
	return d.read(q, columns, values)
}

var errUnnamed = errors.New("the query does not return whose row it is: return the name as the column user")

// read reads a row, and makes sure that it is the right one. NULL and an empty text say nothing.
func (d *Directory) read(q directory.Query, columns []string, values []sql.NullString) (a answer, err error) {
	own := len(columns) - len(d.comparisons)
	compared := make([]string, len(d.comparisons))
	for i := range compared {
		compared[i] = values[own+i].String
	}
	named := slices.ContainsFunc(columns[:own], func(name string) bool {
		return strings.EqualFold(name, "user") && values[slices.Index(columns, name)].String != ""
	})
	switch {
	case named, same(q, d.args, d.comparisons, compared):
	case len(d.comparisons) == 0:
		return answer{}, directory.Unavailable("sql", errUnnamed)
	default:
		err := directory.OtherName("sql", "the column's collation")
		if d.report != nil {
			d.report(err)
		}
		return answer{}, err
	}
	for i, name := range columns[:own] {
		value := values[i].String
		switch {
		case value == "":
		case len(value) > maxValue:
			return answer{}, directory.Unavailable("sql", fmt.Errorf("column %q has %d bytes", name, len(value)))
		case strings.EqualFold(name, "password"):
			a.password = value
		case strings.EqualFold(name, "refuse"):
			if err := directory.RefusedIf(value); err != nil {
				return answer{}, err
			}
		default:
			if err := a.entry.Set(strings.ToLower(name), value); err != nil {
				return answer{}, directory.Unavailable("sql", err)
			}
		}
	}
	return a, nil
}

// unavailable keeps what a driver says to one line. It does not know the DSN's password, and drivers leave it out.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return directory.Unavailable("sql", err)
}

// dialect is what the databases differ in.
type dialect struct {
	parameter func(n int) string
	connect   func(dsn string) (driver.Connector, error)
}

var drivers = map[string]dialect{
	"postgres": {parameter: func(n int) string { return "$" + strconv.Itoa(n) }, connect: connectPostgres},
	"mysql":    {parameter: func(int) string { return "?" }, connect: connectMySQL},
}

var errSayTLS = errors.New("the server is not on this machine: say whether to use TLS")

// connectPostgres takes a DSN as URL or as key=value words.
func connectPostgres(dsn string) (driver.Connector, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("not a PostgreSQL connection string") // the parser's error may show the password
	}
	if !strings.Contains(dsn, "sslmode") && !local(config.Host) {
		return nil, fmt.Errorf("%w, such as sslmode=verify-full", errSayTLS)
	}
	return stdlib.GetConnector(*config), nil
}

// connectMySQL takes a DSN of the driver: USER:PASSWORD@tcp(HOST:PORT)/DATABASE?tls=true.
func connectMySQL(dsn string) (driver.Connector, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("not a data source name of the MySQL driver")
	}
	host, _, err := net.SplitHostPort(config.Addr)
	if config.Net != "unix" && config.TLSConfig == "" && (err != nil || !local(host)) {
		return nil, fmt.Errorf("%w, such as tls=true", errSayTLS)
	}
	config.Logger = &mysql.NopLogger{}
	return mysql.NewConnector(config)
}

// local says whether a host is this machine: a Unix socket's folder, or loopback.
func local(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || err == nil && addr.IsLoopback()
}
