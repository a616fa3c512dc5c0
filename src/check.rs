//! What the server would do with the options that it is given, said in words, and whether it could.

use std::io::{self, ErrorKind, Write};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};

use crate::config::{Acme, Config, Domain, ListenHttp};
use crate::door::tls::{Certificate, Identity};
use crate::port;

/// One thing that has been looked at.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// It would be so.
    Well(String),
    /// It would be so, and somebody may not have meant it.
    Note(String),
    /// It could not be so.
    Wrong(String),
}

use Finding::{Note, Well, Wrong};

/// Says all of it, one line each, and takes nothing: the port is free again when it returns.
///
/// # Errors
///
/// When the server could not start, or would show a certificate that nobody accepts; or nothing can be written.
pub fn say(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let findings = look(config, SystemTime::now());
    let mut wrong = 0;
    for finding in findings {
        let (mark, words) = match finding {
            Well(words) => ("well ", words),
            Note(words) => ("note ", words),
            Wrong(words) => {
                wrong += 1;
                ("WRONG", words)
            }
        };
        writeln!(out, "{mark}  {words}").context("nothing can be written")?;
    }
    if wrong > 0 {
        bail!("with these options it would not work");
    }
    Ok(())
}

fn look(config: &Config, now: SystemTime) -> Vec<Finding> {
    let mut findings = vec![listening(config)];
    if let Some(listen) = config.listen_http.and_then(ListenHttp::address) {
        let words = format!("Listens on {listen}, TCP, and sends whoever comes by HTTP to HTTPS");
        findings.push(taken(words, port::take_tcp(listen, false).map(drop)));
    }
    if let Some(acme) = config.acme() {
        findings.extend(from_authority(acme));
    }
    findings.extend(match config.tls() {
        Ok(None) if config.acme().is_some() => None,
        Ok(Some((certificates, key))) => Some(certificate(certificates, key, now)),
        Ok(None) if config.trusted_proxies.is_empty() => Some(Note(
            "No certificate: plain HTTP. Browsers give the microphone to https:// and to http://localhost alone"
                .to_owned(),
        )),
        Ok(None) => Some(Well("Plain HTTP: the HTTPS is the proxy's".to_owned())),
        Err(error) => Some(Wrong(error.to_string())),
    });
    findings.push(match config.secret() {
        Ok(Some(_)) => Well("The relay's credentials are made with the secret in the file".to_owned()),
        Ok(None) => Well("The relay's credentials are made with a secret that is new at every start".to_owned()),
        Err(error) => Wrong(format!("{error:#}")),
    });
    if let Some(redis) = &config.redis {
        findings.push(Well(format!(
            "Shares who waits with other servers by the Redis at {}, which is not asked now; without it each pairs its own",
            redis.at()
        )));
    }
    findings.push(Well(match config.origins.len() {
        0 => "Pages may connect that were loaded from the host that they connect to".to_owned(),
        1 => "Pages of the one origin that is named may connect, and no other".to_owned(),
        many => format!("Pages of the {many} origins that are named may connect, and no other"),
    }));
    if config.allow_native {
        findings.push(Note("Programs may connect as well that are no browser".to_owned()));
    }
    findings.push(match (config.trusted_proxies.is_empty(), &config.relay_host) {
        (true, None) => Well("No proxy is believed: whoever connects is the visitor".to_owned()),
        (true, Some(relay)) => Note(format!(
            "Pages reach the relay at {}, and no proxy is believed: if one is in front, all its visitors share one's limits",
            relay.as_str()
        )),
        (false, None) => Note(
            "Proxies are believed about for whom they speak; pages look for the relay where they look for the page, so \
             the proxy has to pass TCP and UDP of that port on as they are, or --relay-host is missing"
                .to_owned(),
        ),
        (false, Some(relay)) => Well(format!(
            "Proxies are believed about for whom they speak; pages reach the relay at {}, which has to lead here, TCP and \
             UDP",
            relay.as_str()
        )),
    });
    findings.push(Well(format!(
        "The page asks for an age of {}{}, and calls have voice{}",
        config.age,
        if config.ask_rules { ", with a box to tick" } else { "" },
        if config.text_line { " and text" } else { " alone" },
    )));
    findings.push(Well(format!("Asked to stop, it lets calls go on for {} s at most", config.drain)));
    findings
}

/// Takes the port for a moment.
fn listening(config: &Config) -> Finding {
    let words = format!("Listens on {}, TCP and UDP", config.listen);
    // Never a shared one: this must not come between a server that runs and the one that follows it.
    taken(words, port::take(config.listen, false).map(drop))
}

fn taken(words: String, port: anyhow::Result<()>) -> Finding {
    let kind = |error: &anyhow::Error| error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind);
    match port {
        Ok(()) => Well(words),
        Err(error) if kind(&error) == Some(ErrorKind::AddrInUse) => Note(format!(
            "{words}: taken at the moment, which is as it should be if that is the server before this one"
        )),
        Err(error) => Wrong(format!("{error:#}")),
    }
}

/// What the authority would be asked for. It is not asked: that would count.
fn from_authority(acme: Acme<'_>) -> Vec<Finding> {
    let names = acme.domains.iter().map(Domain::as_str).collect::<Vec<_>>().join(", ");
    let mut findings = vec![match Identity::from_authority(acme) {
        Ok(_) => Well(format!("HTTPS with a certificate for {names} that {} gives", acme.directory)),
        Err(error) => Wrong(format!("{error:#}")),
    }];
    for domain in acme.domains {
        if (domain.as_str(), 443).to_socket_addrs().is_err() {
            findings.push(Note(format!(
                "Nothing is known here of where {} is: the authority has to find it",
                domain.as_str()
            )));
        }
    }
    findings.push(match acme.cache {
        Some(folder) => Well(format!("The certificate is kept in {}", folder.display())),
        None => Note(
            "The certificate is kept in memory alone, and asked for at every start: Let's Encrypt gives five a week for a \
             name"
                .to_owned(),
        ),
    });
    findings
}

fn certificate(certificates: &Path, key: &Path, now: SystemTime) -> Finding {
    let read = Identity::read(certificates, key).and_then(|_| Certificate::read(certificates));
    let certificate = match read {
        Ok(certificate) => certificate,
        Err(error) => return Wrong(format!("{error:#}")),
    };
    let Certificate { names, from, until, last_day } = certificate;
    let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
    if now < from {
        return Wrong(format!("The certificate for {names} is not valid yet: is the clock right?"));
    }
    match until.duration_since(now) {
        Ok(left) => Well(format!(
            "HTTPS with a certificate for {names}, which the key fits, until {last_day} ({} days)",
            left.as_secs() / (24 * 60 * 60)
        )),
        Err(_) => Wrong(format!("The certificate for {names} was valid until {last_day}")),
    }
}
