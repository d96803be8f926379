//! Going back to another set.

use hub::{Lock, Set};

use super::Bench;
use super::reload::{Heard, reload};
use crate::rulebook::installed_cannot as cannot;
use crate::term::Cell;
use crate::{Error, rulebook};

/// Makes the set before the current one, or the one named, current.
pub(super) fn back(bench: &mut Bench<'_>, to: Option<u32>) -> Result<(), Error> {
    let lock = bench.sets.lock().map_err(|error| cannot(&error))?;
    let current = bench.sets.current().map_err(|error| cannot(&error));
    // A set whose manifest is broken can be left, too: for one that is named.
    let current = match (current, to) {
        (Ok(current), _) => current,
        (Err(_), Some(_)) => None,
        (Err(error), None) => return Err(error),
    };
    let number = match (to, &current) {
        (Some(number), _) => number,
        (None, Some(Set { manifest, number, .. })) => manifest.previous.ok_or_else(|| {
            Error::Operator(format!(
                "Set {number} is the first: there is none before it. 'ringwall hub remove' takes items out."
            ))
        })?,
        (None, None) => {
            return Err(Error::Operator(
                "Nothing was installed yet, so there is nothing to go back to.".to_owned(),
            ));
        }
    };
    let wanted = bench.sets.read(number).map_err(|error| cannot(&error))?;
    let inspected = rulebook::inspect(&wanted.folder)?;
    let heard = switch(bench, &lock, current.as_ref().map(|set| set.number), number)?;
    let said = format!(
        "Set {number} of {} is in force again: {} items, {} scenarios. {}",
        wanted.manifest.made,
        wanted.manifest.items.len(),
        inspected.scenarios,
        heard.sentence()
    );
    if bench.out.json() {
        let value = serde_json::json!({ "set": number, "message": said });
        return Ok(bench.out.value(&value)?);
    }
    Ok(bench.out.paragraph(&said, 0)?)
}

/// Switches, and back again where a running instance refuses.
pub(super) fn switch(
    bench: &Bench<'_>,
    lock: &Lock,
    from: Option<u32>,
    to: u32,
) -> Result<Heard, Error> {
    bench
        .sets
        .switch(lock, to)
        .map_err(|error| cannot(&error))?;
    reload(&bench.socket).map_err(|refused| {
        let undone = match from {
            Some(from) => bench.sets.switch(lock, from),
            None => bench.sets.unset(lock),
        };
        match undone {
            Ok(()) => Error::Operator(format!(
                "The running instance refused it, and everything is as it was: {refused}"
            )),
            Err(error) => cannot(&error),
        }
    })
}

/// Which sets there are.
pub(super) fn list(bench: &mut Bench<'_>) -> Result<(), Error> {
    let current = bench.sets.current().map_err(|error| cannot(&error))?;
    let mut rows = Vec::new();
    for number in bench.sets.numbers().map_err(|error| cannot(&error))? {
        let Ok(set) = bench.sets.read(number) else {
            continue;
        };
        let here = current.as_ref().is_some_and(|set| set.number == number);
        if bench.out.json() {
            bench.out.value(&serde_json::json!({
                "set": number, "made": set.manifest.made, "items": set.manifest.items.len(),
                "current": here, "previous": set.manifest.previous, "hub": set.manifest.hub,
            }))?;
            continue;
        }
        rows.push(vec![
            Cell::new(number.to_string()),
            Cell::new(&set.manifest.made),
            Cell::new(set.manifest.items.len().to_string()),
            Cell::new(if here { "current" } else { "" }),
        ]);
    }
    if bench.out.json() {
        return Ok(());
    }
    if rows.is_empty() {
        return Ok(bench.out.line("Nothing was installed yet.")?);
    }
    Ok(bench.out.table(&["SET", "MADE", "ITEMS", ""], &rows)?)
}
