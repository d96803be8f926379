//! The binary: arguments, configuration, hand over to `app`.
//!
//! `up` splits the privileged helper off before any thread exists; nothing here starts one.

mod args;
mod orders;

use std::process::ExitCode;

use app::commands;
use app::control::protocol::Ask;
use app::term::Out;
use app::{Error, configuration, daemon, demo, hub, rulebook};
use args::{Alert, Allowlist, Arguments, Command, Decision, Hubtest, Items, Up};
use clap::{CommandFactory, Parser};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are no mistakes; everything else is bad usage (64, sysexits.h).
        Err(message) => {
            let shown = message.print().is_ok();
            return if message.use_stderr() || !shown {
                ExitCode::from(64)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let mut out = Out::stdout(arguments.json);
    match run(arguments, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments, out: &mut Out) -> Result<(), Error> {
    let (file, named) = (arguments.config, arguments.socket);
    let loaded = config::Arguments {
        config: file.clone(),
        ..config::Arguments::default()
    };
    let socket = || configuration::socket(named, file);
    match arguments.command {
        Command::Up(up) => daemon::run(&up_arguments(up, loaded)),
        Command::Host(up) => daemon::help(&up_arguments(up, loaded)),
        Command::Demo { once } => demo::run(once, out),
        Command::Check => commands::check(&loaded, out),
        Command::Show { schema: false } => commands::show(&loaded, out),
        Command::Show { schema: true } => commands::show_schema(out),
        Command::Down => commands::order(&socket()?, Ask::Down, out),
        Command::Resume => commands::order(&socket()?, Ask::Resume, out),
        Command::Reload => commands::order(&socket()?, Ask::Reload, out),
        Command::Pause { span } => {
            let seconds = span.as_deref().map(commands::seconds).transpose()?;
            commands::order(&socket()?, Ask::Pause { seconds }, out)
        }
        Command::Status => commands::status(&socket()?, out),
        Command::Why { subject } => commands::why(&socket()?, &subject, out),
        Command::Decision(order) => decision(&socket()?, order, out),
        Command::Alert(Alert::List { limit, value }) => {
            commands::alerts(&socket()?, limit, value, out)
        }
        Command::Allowlist(order) => allowlist(&socket()?, order, out),
        Command::Hub(order) => {
            let config = configuration::of_instance(loaded.config)?;
            hub::run(orders::hub(order), config, socket()?, out)
        }
        Command::Replay(replay) => {
            let chosen = chosen(replay.kind, replay.items);
            commands::replay(&chosen, replay.threads, &replay.files, out)
        }
        Command::Explain(explain) => {
            if let Some(subject) = &explain.decision {
                return commands::explain_decision(&socket()?, subject, out);
            }
            let showing = commands::Showing {
                all: explain.all,
                scenario: explain.scenario,
            };
            let chosen = chosen(explain.kind.unwrap_or_default(), explain.items);
            let (line, file) = (explain.log.as_deref(), explain.file.as_deref());
            commands::explain(&chosen, line, file, &showing, out)
        }
        Command::Hubtest(wanted) => commands::hubtest(&hubtest(wanted), out),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "ringwall", &mut std::io::stdout());
            Ok(())
        }
        Command::Man => {
            Ok(clap_mangen::Man::new(Arguments::command()).render(&mut std::io::stdout())?)
        }
    }
}

fn decision(socket: &std::path::Path, order: Decision, out: &mut Out) -> Result<(), Error> {
    match order {
        Decision::List { value } => commands::decisions(socket, value, out),
        Decision::Add {
            value,
            kind,
            span,
            reason,
        } => commands::decide(socket, &value, &kind, &span, &reason, out),
        Decision::Delete { subject } => commands::undecide(socket, &subject, out),
    }
}

fn allowlist(socket: &std::path::Path, order: Allowlist, out: &mut Out) -> Result<(), Error> {
    match order {
        Allowlist::List => commands::allowlist(socket, out),
        Allowlist::Add {
            value,
            reason,
            span,
        } => commands::allow(socket, &value, &reason, span.as_deref(), out),
        Allowlist::Delete { value } => commands::disallow(socket, &value, out),
    }
}

fn hubtest(typed: Hubtest) -> commands::HubtestWanted {
    commands::HubtestWanted {
        hub: typed.hub,
        cases: typed.cases,
        tests: typed.tests,
        patterns: typed.patterns,
        data: typed.data,
        now: typed.now,
        threads: typed.threads,
    }
}

fn up_arguments(up: Up, loaded: config::Arguments) -> config::Arguments {
    let listen: Vec<String> = up.listen.into_iter().collect();
    config::Arguments {
        protect: up.protect,
        listen,
        observe: up.observe,
        ..loaded
    }
}

fn chosen(kind: String, items: Items) -> rulebook::Chosen {
    let Items {
        hub,
        items,
        rules,
        patterns,
        data,
    } = items;
    rulebook::Chosen {
        kind,
        hub,
        items,
        rules,
        patterns,
        data,
    }
}

/// The error for the operator, on standard error: configuration faults with the
/// lines they stand in, everything else as its sentences.
#[expect(
    clippy::print_stderr,
    reason = "the one place where a failed command speaks"
)]
fn report(error: &Error) {
    match error {
        Error::Config(faults) => {
            for fault in faults.0.iter() {
                let report = miette::Report::new(fault.clone());
                eprintln!("{report:?}");
            }
        }
        Error::Operator(sentence) | Error::Usage(sentence) => eprintln!("ringwall: {sentence}"),
        Error::Findings => {}
    }
}
