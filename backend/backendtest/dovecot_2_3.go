package backendtest

// dovecot23 is a dovecotConfig in the syntax of Dovecot 2.3.
const dovecot23 = `
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/state
log_path = {{.Dir}}/dovecot.log
{{- if .Unprivileged}}
default_internal_user = {{.Owner.User}}
default_internal_group = {{.Owner.Group}}
default_login_user = {{.Owner.User}}
{{- end}}
default_client_limit = 20000
default_process_limit = 2000

protocols = imap
listen = 127.0.0.1
service anvil {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  inet_listener imap {
    port = {{index .Ports 0}}
  }
  inet_listener imaps {
    port = {{index .Ports 1}}
    ssl = yes
  }
}
{{- if .Proxied}}
haproxy_trusted_networks = 127.0.0.0/8
service imap-login {
  inet_listener proxied {
    port = {{index .Ports 2}}
    haproxy = yes
  }
  inet_listener proxieds {
    port = {{index .Ports 3}}
    haproxy = yes
    ssl = yes
  }
}
{{- end}}

service imap {
  process_min_avail = 2
  service_count = 0
}

ssl = yes
ssl_min_protocol = TLSv1.2
ssl_cert = <{{.CertFile}}
ssl_key = <{{.KeyFile}}

auth_mechanisms = {{.Mechanisms}}
auth_master_user_separator = *
disable_plaintext_auth = {{if .RequireTLS}}yes{{else}}no{{end}}
login_trusted_networks = {{.TrustedNetworks}}
passdb {
  driver = passwd-file
  master = yes
  args = {{.Dir}}/masters
}
passdb {
  driver = passwd-file
  args = {{.Dir}}/users
}
{{- if .TokenURL}}
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {{.Dir}}/oauth2.conf
}
{{- end}}
userdb {
  driver = static
  args = uid={{.Owner.UID}} gid={{.Owner.GID}} home={{.Dir}}/mail/%u
}
{{- if .QuickFailures}}
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
{{- end}}

first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_plugins = zlib
protocol imap {
  mail_max_userip_connections = {{.MaxUserIPConnections}}
  {{- if not .NoCompress}}
  mail_plugins = $mail_plugins imap_zlib
  {{- end}}
}
{{.Extra}}
`

// dovecot23OAuth2 begins the file that the token passdb of Dovecot 2.3 is configured by.
const dovecot23OAuth2 = `introspection_mode = get
username_attribute = user
active_attribute = active
active_value = true
`
