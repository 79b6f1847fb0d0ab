package backendtest

// dovecot24 is a dovecotConfig in the syntax of Dovecot 2.4.
const dovecot24 = `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
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
  restart_request_count = unlimited
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
  restart_request_count = unlimited
}

ssl = yes
ssl_min_protocol = TLSv1.2
ssl_server_cert_file = {{.CertFile}}
ssl_server_key_file = {{.KeyFile}}

auth_mechanisms = {{.Mechanisms}}
auth_master_user_separator = *
auth_allow_cleartext = {{if .RequireTLS}}no{{else}}yes{{end}}
login_trusted_networks = {{.TrustedNetworks}}
passdb masters {
  driver = passwd-file
  master = yes
  passwd_file_path = {{.Dir}}/masters
}
passdb users {
  driver = passwd-file
  passwd_file_path = {{.Dir}}/users
}
{{- if .TokenURL}}
oauth2 {
  introspection_mode = get
  introspection_url = {{.TokenURL}}
  username_attribute = user
  active_attribute = active
  active_value = true
}
passdb tokens {
  driver = oauth2
  mechanisms_filter = xoauth2 oauthbearer
}
{{- end}}
userdb static {
  fields {
    uid = {{.Owner.UID}}
    gid = {{.Owner.GID}}
    home = {{.Dir}}/mail/%{user}
  }
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
mail_driver = maildir
mail_path = ~/Maildir
mail_plugins = mail_compress
protocol imap {
  mail_max_userip_connections = {{.MaxUserIPConnections}}
  {{- if .NoCompress}}
  imap_capability {
    "COMPRESS=DEFLATE" = no
  }
  {{- end}}
}
{{.Extra}}
`
