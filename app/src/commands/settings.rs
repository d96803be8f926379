//! `ringwall check` and `ringwall show`.

use config::Arguments;

use crate::rulebook::Installed;
use crate::term::{Cell, Out, Tone, counted};
use crate::{Error, configuration, profiles_file, rulebook};

/// Validates the configuration and compiles the rules and profiles it names.
///
/// # Errors
/// The faults of the configuration; findings when rules are broken.
pub fn check(arguments: &Arguments, out: &mut Out) -> Result<(), Error> {
    let (config, _) = configuration::load(arguments)?;
    let closed = Installed::is_closed(&config);
    let rules = if closed {
        rulebook::load(&config.detection, &Installed::default())?
    } else {
        rulebook::of(&config)?
    };
    if closed && !out.json() {
        out.line(
            "The state directory is not open to you: what 'ringwall hub' installed was not checked.",
        )?;
    }
    if let Some(file) = &config.book.crowdsec_profiles {
        profiles_file::read(file)?;
    }
    for fault in &rules.faults {
        out.line(&fault.to_string())?;
    }
    let sentence = format!(
        "The configuration is valid: {}, {}, {}{}.",
        counted(config.edge.listeners.len(), "listener"),
        counted(config.edge.sites.len(), "site"),
        counted(rules.scenarios(), "scenario"),
        if rules.faults.is_empty() {
            String::new()
        } else {
            format!(", {}", counted(rules.faults.len(), "broken rule"))
        }
    );
    if out.json() {
        out.value(&serde_json::json!({ "valid": true, "message": sentence, "broken_rules": rules.faults.len() }))?;
    } else {
        out.line(&sentence)?;
    }
    if rules.faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Findings)
    }
}

/// Prints every effective value with where it comes from.
///
/// # Errors
/// The faults of the configuration.
pub fn show(arguments: &Arguments, out: &mut Out) -> Result<(), Error> {
    let (_, origins) = configuration::load(arguments)?;
    if out.json() {
        for value in origins.iter() {
            let origin = value.origin.to_string();
            out.value(
                &serde_json::json!({ "key": value.path, "value": value.value, "origin": origin }),
            )?;
        }
        return Ok(());
    }
    let rows: Vec<_> = origins
        .iter()
        .map(|value| {
            let tone = if value.origin == config::Origin::Default {
                Tone::Faint
            } else {
                Tone::Plain
            };
            vec![
                Cell::toned(tone, &value.path),
                Cell::toned(tone, &value.value),
                Cell::toned(tone, value.origin.to_string()),
            ]
        })
        .collect();
    Ok(out.table(&["KEY", "VALUE", "FROM"], &rows)?)
}

/// Prints the JSON Schema of the configuration file.
///
/// # Errors
/// When the output cannot be written.
pub fn show_schema(out: &mut Out) -> Result<(), Error> {
    Ok(out.line(&format!("{:#}", config::json_schema()))?)
}
