//! Flags, logging, signals; the rest is the library's.

use std::io::Write;
use std::process::ExitCode;

use sotto::Server;
use sotto::config::{Cli, Command, Config, Stop};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let Cli { command, config, .. } = match Cli::read() {
        Ok(cli) => cli,
        Err(Stop::Asked(asked)) => asked.exit(),
        Err(Stop::Refused(refused)) => {
            eprintln!("sotto: {refused}");
            return ExitCode::from(2);
        }
    };
    start_log(config.log);
    let done = match command {
        Some(Command::CheckConfig) => sotto::check::say(&config, &mut std::io::stdout()),
        Some(Command::Healthcheck) => sotto::healthcheck(config.listen),
        Some(Command::Hashes) => std::io::stdout().write_all(sotto::web::hashes().as_bytes()).map_err(Into::into),
        Some(Command::Print { sheet }) => std::io::stdout().write_all(sheet.text().as_bytes()).map_err(Into::into),
        None => serve(config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sotto: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Logs our own lines only: those of the libraries name addresses.
fn start_log(level: LevelFilter) {
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false))
        .with(Targets::new().with_target("sotto", level))
        .init();
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let server = Server::bind(config).await?;
    writeln!(std::io::stdout(), "listening on {}", server.url())?;
    let (ask, asked) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if ask.send(()).await.is_err() {
                break;
            }
        }
    });
    server.run(asked).await
}
