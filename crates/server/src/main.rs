//! The command line of the server.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use countersign_core::limits;
use countersign_server::{
    accounts::tickets,
    api,
    app::{App, Records, Started, SystemClock, SystemRandomness},
    command_line::{
        self,
        audit_webhook::AuditWebhook,
        clients::{Clients, keygen},
        keys::Keys,
        mails::Mails,
        print, print_once,
        providers::Providers,
        webhooks::Webhooks,
    },
    config::Config,
    demo::{self, Wish},
    doctor,
    fault::{Failure, Fault},
    http::accept::serve,
    jobs::Dispatcher,
    logs, organizations,
    tls::Tls,
    webhooks::work::Deliverer,
};

#[derive(Parser)]
#[command(name = "countersign", about = "Send documents, have them signed, prove it.", version)]
struct Cli {
    /// Configuration file; `countersign.example.toml` documents every key.
    #[arg(long, global = true, env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve API and pages.
    Serve,
    /// Begin an organization: print the link, good once and for 15 minutes, with which its first owner makes an account.
    Init {
        /// Name of the organization, shown to recipients; it is made if there is none of this name.
        #[arg(long)]
        organization: String,
        /// Address of the owner.
        #[arg(long)]
        email: String,
    },
    /// Organizations.
    #[command(subcommand)]
    Organizations(Organizations),
    /// API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// OAuth clients: programs that call the API with access tokens.
    #[command(subcommand)]
    Clients(Clients),
    /// Print the mails about accounts that could not be sent because no mail server is set: invitations, and links to set
    /// another password. Whoever has such a link has the account: they are for the operator alone.
    Mails(Mails),
    /// The OpenID providers of organizations: the way out where one is gone and nobody comes in without it.
    #[command(subcommand)]
    Providers(Providers),
    /// Stop webhooks, of an organization or of all, and let them go on: what is stopped is kept.
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Fold all events again, compare everything that hangs on them, and try the key that seals.
    Doctor,
    /// Tell what PDF files are and whether they can be sealed, one line of JSON for each file.
    ///
    /// Exit code 0: all can be sealed. 1: a file cannot be sealed, or cannot be read; its line says why. 2: the call was
    /// not understood.
    Inspect {
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Try a webhook receiver of yours with a right message and with wrong ones, which it must refuse.
    ///
    /// Exit code 0: it did what it should with each. 1: it did not; the report says what to mend. 2: the call was not
    /// understood, or nothing answered.
    AuditWebhook(Box<AuditWebhook>),
    /// Print the OpenAPI document.
    Openapi,
    /// Show the whole product: serve, sign an example contract, verify the evidence, and wait for you to sign another.
    Demo(Demo),
}

#[derive(Args)]
struct Demo {
    /// Exit when the evidence is verified.
    #[arg(long)]
    once: bool,
    /// Port on the loopback address.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Where the sealed PDF and the evidence package go.
    #[arg(long, default_value = "out")]
    out: PathBuf,
    /// Where the demo keeps its data.
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Where the example contracts are.
    #[arg(long, default_value = "examples")]
    examples: PathBuf,
}

#[derive(Subcommand)]
enum Organizations {
    /// Make an organization.
    Create {
        /// Its name, shown to recipients.
        name: String,
    },
    /// List organizations.
    List,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("countersign: {}", sentence(&failure));
            ExitCode::FAILURE
        }
    }
}

fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) => refusal.sentence.clone(),
        other => other.to_string(),
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    if let Command::Inspect { files } = &cli.command {
        return inspect(files);
    }
    if let Command::Openapi = &cli.command {
        print(api::openapi::document().to_pretty_json().map_err(|e| Fault::Task(e.to_string()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Clients(Clients::Keygen { file }) = &cli.command {
        print(keygen(file)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Demo(demo) = cli.command {
        return show(demo).await;
    }
    if let Command::AuditWebhook(wish) = cli.command {
        return Ok(command_line::audit_webhook::run(*wish).await);
    }
    let config = Config::read(cli.config.as_deref(), std::env::vars_os())?;
    logs::start(&config.log.level)?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
    if let Command::Serve = cli.command {
        let Started { app, announcements } = App::open(config, clock, random).await?;
        tell(&announcements);
        return run_server(app).await.map(|()| ExitCode::SUCCESS);
    }
    let opened = match cli.command {
        // Only these may begin a data folder, as serving may.
        Command::Init { .. } | Command::Organizations(Organizations::Create { .. }) => {
            Records::open(config, clock, random).await?
        }
        _ => Records::open_existing(config, clock, random).await?,
    };
    tell(&opened.announcements);
    run_command(&opened.records, cli.command).await
}

fn tell(announcements: &[String]) {
    for announcement in announcements {
        eprintln!("{announcement}");
    }
}

/// The commands that need the records alone.
async fn run_command(records: &Records, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Doctor => {
            let report = doctor::examine(records).await?;
            print(report.to_string().trim_end())?;
            Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Init { organization, email } => init(records, &organization, &email).await,
        Command::Organizations(Organizations::Create { name }) => {
            let row = organizations::create(records, &name).await?;
            print(row.organization)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Organizations(Organizations::List) => {
            for row in records.store.organizations().await? {
                print(format_args!("{}  {}  {}", row.organization, row.created_at, row.name))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys(command) => {
            command_line::keys::run(records, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Clients(command) => {
            command_line::clients::run(records, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Mails(wish) => {
            command_line::mails::run(records, wish).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Providers(command) => {
            command_line::providers::run(records, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Webhooks(command) => {
            command_line::webhooks::run(records, command).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve
        | Command::Inspect { .. }
        | Command::AuditWebhook(_)
        | Command::Openapi
        | Command::Demo(_) => Ok(ExitCode::SUCCESS),
    }
}

async fn init(records: &Records, organization: &str, email: &str) -> Result<ExitCode, Failure> {
    let (row, link) = tickets::first_owner(records, organization, email).await?;
    eprintln!(
        "{} waits for its first owner. Open this link within {} minutes in the browser of whoever has that address; it \
         works once:",
        row.name,
        limits::FIRST_OWNER_S / 60
    );
    print_once(link.expose())?;
    Ok(ExitCode::SUCCESS)
}

async fn show(demo: Demo) -> Result<ExitCode, Failure> {
    logs::start("warn")?;
    let Demo { once, port, out, data, examples } = demo;
    match demo::run(Wish { port, out, data, examples, once }, told_to_stop()).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(fault) => {
            eprintln!("countersign: {fault}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run_server(app: Arc<App>) -> Result<(), Failure> {
    let tls = if app.config.server.plain_http { None } else { Some(Tls::open(&app.config, app.now())?) };
    if let Some(announcement) = tls.as_ref().and_then(|tls| tls.announcement.as_ref()) {
        eprintln!("{announcement}");
    }
    let serving = serve(Arc::clone(&app), tls.as_ref()).await?;
    let dispatcher = Dispatcher::start(Arc::clone(&app));
    let deliverer = Deliverer::start(Arc::clone(&app));
    eprintln!("Listening on {} as {}", serving.address, app.config.server.public_url);
    if let Some(warning) = app.config.dead_links(serving.address.port()) {
        tracing::warn!(event_type = "start", event_result = "doubtful", "{warning}");
        eprintln!("{warning}");
    }
    told_to_stop().await?;
    tracing::info!(event_type = "shutdown", event_result = "begun", "told to stop");
    serving.stop().await?;
    dispatcher.stop().await?;
    deliverer.stop().await?;
    Ok(())
}

/// Waits for an interrupt or a termination signal.
async fn told_to_stop() -> Result<(), Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut termination = signal(SignalKind::terminate()).map_err(|error| Fault::Task(error.to_string()))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = termination.recv() => {}
    }
    Ok(())
}

fn inspect(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut all_accepted = true;
    for file in files {
        let (report, is_accepted) = match std::fs::read(file) {
            Ok(bytes) => countersign_server::documents::report(file, &bytes)?,
            Err(error) => {
                eprintln!("countersign: {}", Fault::file(file, &error));
                (countersign_server::documents::unreadable(file, &error)?, false)
            }
        };
        print(report)?;
        all_accepted &= is_accepted;
    }
    Ok(if all_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
