//! The frame of `sotto --help`, which is the manual: what comes before and after the options.

/// What the options are about, in the order in which they are shown.
pub const WHERE: &str = "Where it is";
/// Certificates.
pub const HTTPS: &str = "HTTPS";
/// What others put in front.
pub const PROXY: &str = "Behind a reverse proxy";
/// Who is let in.
pub const WHO: &str = "Who may connect";
/// What the page says and does.
pub const VISITORS: &str = "What visitors get";
/// From the first moment to the last.
pub const RUNNING: &str = "Starting, stopping, watching";

/// What an operator has to know before any option. A paragraph is one line here, and wrapped when it is shown.
pub const ABOUT: &str = "\
Anonymous one-on-one voice: one button, one stranger, nothing kept.

One process serves the page, the signalling (a WebSocket at /ws) and the relay (TURN over UDP, TCP and TLS) on one port \
number, TCP and UDP. It needs no option, no database, no writable file system and no second server.

For a public server, have a name lead to this machine, and then: sotto --domain talk.example.org

What to open in the firewall: that port number, TCP and UDP; with --domain it is 443, and TCP 80 besides, which sends visitors \
on to HTTPS. The relay opens no ports of its own. With --domain the server itself goes out to the authority, by HTTPS.";

/// Where options come from, how it ends, and what is typed most.
pub const AFTER: &str = "\
Where options come from:
  A flag comes before the environment, and the environment before the file. The file is TOML, and its keys are the flags' \
names. An option that may be given more than once takes a list there, and commas in the environment. An empty variable \
counts as none. What is on or off is turned on by its name alone, and off by --text-line=no, for instance. A path starts \
at the directory that the server is started in. Secrets are read from files only; a password in --redis belongs into this file or the environment. An option that does not exist, or a \
value that cannot be, stops the start with one line that says where it is written.

    # /etc/sotto.toml
    domain = [\"talk.example.org\"]
    acme-cache = \"/var/lib/sotto\"
    drain = 600

Examples:
  On this machine, to try it, at http://localhost:8080:
    sotto
  For everybody, with a certificate of its own on ports 443 and 80:
    sotto --domain talk.example.org --acme-cache /var/lib/sotto
  With a certificate that something else renews, one port for everything:
    sotto --listen [::]:443 --tls-cert fullchain.pem --tls-key privkey.pem
  Behind a reverse proxy on the same machine, the relay reached directly:
    sotto --trusted-proxies 127.0.0.1,::1 --relay-host talk.example.org:8080
  As a service of systemd's; sotto print --help names what there is besides:
    sotto print systemd > /etc/systemd/system/sotto.service
  From a file, and whether that would work:
    sotto --config /etc/sotto.toml
    sotto check-config --config /etc/sotto.toml

Signals:
  SIGTERM and Ctrl-C ask it to stop, which it does when the last call has ended or --drain is over. A second one ends it \
at once.

Exit status:
  0 when it was asked to stop; 1 when something failed, such as a port that is taken or a file that cannot be read; 2 when \
an option is wrong, so that starting it again would not help.";
