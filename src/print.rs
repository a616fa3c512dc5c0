//! Files for the programs around a server, which whoever has only the binary has with it: `sotto print NAME`. The tests
//! run each of them.

use clap::ValueEnum;

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sheet {
    /// A reverse proxy: nginx, for /etc/nginx/conf.d/sotto.conf
    Nginx,
    /// A reverse proxy: HAProxy, for /etc/haproxy/haproxy.cfg
    Haproxy,
    /// A reverse proxy: Caddy, for /etc/caddy/Caddyfile
    Caddy,
    /// A service for systemd, for /etc/systemd/system/sotto.service
    Systemd,
    /// One container on one machine, for compose.yaml
    Compose,
}

impl Sheet {
    /// What is in it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("print/nginx.conf"),
            Self::Haproxy => include_str!("print/haproxy.cfg"),
            Self::Caddy => include_str!("print/Caddyfile"),
            Self::Systemd => include_str!("print/sotto.service"),
            Self::Compose => include_str!("print/compose.yaml"),
        }
    }
}
