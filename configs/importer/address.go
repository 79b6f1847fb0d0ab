package importer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"portico/configs"
)

// ports are the names of ports that mail proxies use (services(5)).
var ports = map[string]string{"imap": "143", "imap2": "143", "imap4": "143", "imaps": "993", "imap4s": "993",
	"pop3": "110", "pop3s": "995", "smtp": "25", "smtps": "465", "submission": "587", "submissions": "465",
	"sieve": "4190"}

// port returns the number of a port, "" if the text is none.
func port(text string) string {
	if number, ok := ports[text]; ok {
		return number
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// hostPort splits an address with or without a port. IPv6 addresses may stand in brackets, or without a port alone.
func hostPort(text, defaultPort string) (host, number string, err error) {
	switch {
	case strings.HasPrefix(text, "["):
		end := strings.IndexByte(text, ']')
		if end < 0 {
			return "", "", fmt.Errorf("%.60q is no address", text)
		}
		host, number = text[1:end], strings.TrimPrefix(text[end+1:], ":")
	case strings.Count(text, ":") > 1:
		host = text
	default:
		host, number, _ = strings.Cut(text, ":")
	}
	if number == "" {
		number = defaultPort
	}
	if number = port(number); number == "" {
		return "", "", fmt.Errorf("%.60q has no valid port", text)
	}
	if _, err := netip.ParseAddr(host); err != nil && !configs.IsHost(host) {
		return "", "", fmt.Errorf("%.60q has no host name that Portico can use", text)
	}
	return host, number, nil
}

// listenAddress returns an address to listen on, where "", "*" and a wildcard mean every interface.
func listenAddress(host, number string) string {
	switch host = strings.Trim(host, "[]"); host {
	case "", "*":
		host = "0.0.0.0"
	case "::", "*6":
		host = "::"
	}
	return net.JoinHostPort(host, number)
}

func validNetwork(text string) bool {
	_, err := netip.ParsePrefix(text)
	return err == nil
}

// loopback says whether a host is this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// imapPort says whether a port is one of IMAP's.
func imapPort(number string) bool { return number == "143" || number == "993" }

var timePart = regexp.MustCompile(`^\s*(\d{1,9})\s*([a-z]*)`)

var timeUnits = map[string]time.Duration{
	"us": time.Microsecond, "ms": time.Millisecond, "msec": time.Millisecond, "msecs": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hour": time.Hour, "hours": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour,
	"days": 24 * time.Hour, "w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
	"y": 365 * 24 * time.Hour,
}

// duration reads a time as nginx, HAProxy, Dovecot and perdition write it: numbers with units. unit is that of a number
// without one.
func duration(text string, unit time.Duration) (total time.Duration, err error) {
	const longest = 10 * 365 * 24 * time.Hour
	rest := strings.ToLower(text)
	if strings.TrimSpace(rest) == "" {
		return 0, errors.New("no time is given")
	}
	for strings.TrimSpace(rest) != "" {
		part := timePart.FindStringSubmatch(rest)
		if part == nil {
			return 0, fmt.Errorf("%.40q is no time", text)
		}
		n, _ := strconv.ParseInt(part[1], 10, 64)
		of, known := timeUnits[part[2]]
		if part[2] == "" {
			of, known = unit, true
		}
		if !known {
			return 0, fmt.Errorf("%.40q is no time", text)
		}
		if n > int64(longest/of) {
			return longest, nil
		}
		total = min(longest, total+time.Duration(n)*of)
		rest = rest[len(part[0]):]
	}
	return total, nil
}

// absolute returns a file's name as it is from dir.
func absolute(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	joined := filepath.Join(dir, name)
	if abs, err := filepath.Abs(joined); err == nil {
		return abs
	}
	return joined
}
