//! From a file, the environment and arguments to a snapshot.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::fault::{Cause, Fault, Faults, Place, Source};
use crate::origin::Origins;
use crate::raw::Raw;
use crate::shape::Schema;
use crate::snapshot::Config;
use crate::surroundings::Surroundings;
use crate::tree::Tree;
use crate::{env, shape, validate};

/// The largest file that is read: 4 MiB, thousands of sites.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// What the command line says of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Arguments {
    /// `--config FILE`; without it the usual places are tried.
    pub config: Option<PathBuf>,
    /// `--protect URL`: one site for any host in front of this upstream. Without
    /// `config` no file is read at all.
    pub protect: Option<String>,
    /// `--listen ADDRESS:PORT`, any number; they replace the listeners of the file.
    pub listen: Vec<String>,
    /// `--observe`: no site enforces anything.
    pub observe: bool,
}

/// The file that is read when none is named: `./ringwall.toml`, else
/// `/etc/ringwall/ringwall.toml`; `None` when neither exists.
#[must_use]
pub fn find(around: &Surroundings<'_>) -> Option<PathBuf> {
    use crate::surroundings::FileKind;
    [
        around.directory.join("ringwall.toml"),
        PathBuf::from("/etc/ringwall/ringwall.toml"),
    ]
    .into_iter()
    .find(|path| match around.probe.kind(path) {
        FileKind::Missing => false,
        FileKind::Unchecked => path.exists(),
        _ => true,
    })
}

/// Reads the configuration that the arguments and the environment ask for.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(arguments: &Arguments, around: &Surroundings<'_>) -> Result<(Config, Origins), Faults> {
    let named = arguments.config.clone();
    let path = match (named, &arguments.protect) {
        (Some(path), _) => Some(path),
        (None, Some(_)) => None,
        (None, None) => Some(find(around).ok_or_else(nothing_to_read)?),
    };
    let source = match path {
        Some(path) => read(&path, around)?,
        None => Source::unwritten(),
    };
    build(&source, arguments, around)
}

/// Makes a snapshot of a configuration text called `name`; relative paths in it are
/// taken from the folder of `name`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    name: &Path,
    text: &str,
    around: &Surroundings<'_>,
) -> Result<(Config, Origins), Faults> {
    let source = Source {
        name: name.to_owned(),
        text: Arc::from(text),
    };
    build(&source, &Arguments::default(), around)
}

fn build(
    source: &Source,
    arguments: &Arguments,
    around: &Surroundings<'_>,
) -> Result<(Config, Origins), Faults> {
    let schema = Schema::of_the_file();
    let mut faults = Vec::new();
    let mut tree = Tree::of_toml(source, &mut faults);
    // A file with broken syntax is read wrongly further on: no second-hand faults.
    if faults.iter().any(|fault| fault.cause == Cause::Syntax) {
        return Err(Faults::new(faults));
    }
    env::apply(&schema, around, source, &mut tree, &mut faults);
    apply_arguments(arguments, &mut tree);
    shape::check(&schema, source, &mut tree, &mut faults);
    let mut raw: Raw = match serde_json::from_value(tree.root.clone()) {
        Ok(raw) => raw,
        Err(error) => {
            faults.push(unexpected_shape(source, &error));
            Raw::default()
        }
    };
    let config = validate::snapshot(&raw, &tree, source, around, &mut faults);
    if !faults.is_empty() {
        return Err(Faults::new(faults));
    }
    raw.state.directory = Some(config.state.directory.display().to_string());
    raw.control.socket = Some(config.control.socket.display().to_string());
    let origins = tree.origins(&raw, source);
    Ok((config, origins))
}

/// The shape check and serde should refuse the same things; where they do not, the
/// operator gets serde's words rather than a panic.
fn unexpected_shape(source: &Source, error: &serde_json::Error) -> Fault {
    let mut fault = Fault::new(Cause::WrongType, Place::Whole, source);
    fault.problem = error.to_string();
    fault
}

fn apply_arguments(arguments: &Arguments, tree: &mut Tree) {
    if let Some(url) = &arguments.protect {
        let site = json!([{ "host": ["*"], "to": [url] }]);
        tree.set(&["edge", "site"], &site, &Place::Argument("--protect"));
    }
    if !arguments.listen.is_empty() {
        let listen = json!(arguments.listen);
        tree.set(&["edge", "listen"], &listen, &Place::Argument("--listen"));
    }
    if arguments.observe {
        for site in 0..tree.sites() {
            let path = ["edge", "site", &site.to_string(), "mode"];
            tree.set(
                &path,
                &Value::from("observe"),
                &Place::Argument("--observe"),
            );
        }
        let path = ["docker", "mode"];
        tree.set(
            &path,
            &Value::from("observe"),
            &Place::Argument("--observe"),
        );
    }
}

fn read(path: &Path, around: &Surroundings<'_>) -> Result<Source, Faults> {
    match read_bounded(&around.directory.join(path), around) {
        Ok(text) => Ok(Source {
            name: path.to_owned(),
            text: Arc::from(text),
        }),
        Err(error) => {
            let source = Source {
                name: path.to_owned(),
                text: Arc::from(""),
            };
            let mut fault = Fault::new(Cause::Unreadable, Place::Whole, &source);
            fault.problem = format!("cannot read the configuration: {error}");
            fault.help = match error.kind() {
                io::ErrorKind::NotFound => "Name another file with --config, or start without one: ringwall up --protect http://127.0.0.1:3000".to_owned(),
                io::ErrorKind::PermissionDenied => "Run as a user who may read it, or change its mode.".to_owned(),
                _ => String::new(),
            };
            Err(Faults::new(vec![fault]))
        }
    }
}

fn read_bounded(path: &Path, around: &Surroundings<'_>) -> io::Result<String> {
    let bytes = files::read_open(around.probe.open(path)?, FILE_BYTES)?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn nothing_to_read() -> Faults {
    let source = Source {
        name: PathBuf::from("ringwall.toml"),
        text: Arc::from(""),
    };
    let mut fault = Fault::new(Cause::Unreadable, Place::Whole, &source);
    fault.problem =
        "there is no configuration: neither ./ringwall.toml nor /etc/ringwall/ringwall.toml exists"
            .to_owned();
    fault.help = "Name a file with --config, or start without one: ringwall up --protect http://127.0.0.1:3000".to_owned();
    Faults::new(vec![fault])
}
