//! Every expression of CrowdSec's hub compiles.

use std::path::PathBuf;

use expr::{Data, Schema, Type};

use crate::support::Names;

/// `[kind, place, file, text]` for each expression; `None` (said aloud) without the file.
fn expressions() -> Option<Vec<[String; 4]>> {
    let root = std::env::var_os("RINGWALL_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let file = root.join("crowdsec/expressions.json");
    let Ok(text) = std::fs::read(&file) else {
        let all = std::env::var("RINGWALL_TEST_ALL").is_ok_and(|all| all == "1");
        assert!(!all, "the hub's expressions are not at {}", file.display());
        println!("NOT RUN: no hub expressions at {}", file.display());
        return None;
    };
    let Ok(Data::List(rows)) = expr::json::parse(&text) else {
        panic!("{} is no JSON list", file.display());
    };
    let text = |cell: &Data| match cell {
        Data::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?} is no text"),
    };
    let row = |row: &Data| match row {
        Data::List(cells) => [
            text(&cells[0]),
            text(&cells[1]),
            text(&cells[2]),
            text(&cells[3]),
        ],
        other => panic!("{other:?} is no row"),
    };
    Some(rows.iter().map(row).collect())
}

fn wanted(place: &str) -> Type {
    match place {
        "filter" | "condition" | "cancel_on" | "whitelist.expression" | "on_match.filter" => {
            Type::Bool
        }
        "groupby" | "distinct" => Type::Text,
        _ => Type::Any,
    }
}

#[test]
fn every_expression_of_the_hub_compiles() {
    let Some(rows) = expressions() else {
        return;
    };
    assert!(rows.len() >= 3_000, "only {} expressions", rows.len());
    let mut names = Names::default();
    let schema: &mut dyn Schema = &mut names;
    let mut faults = Vec::new();
    let (mut guarded, mut filters, mut impure) = (0, 0, 0);
    for [_, place, file, text] in &rows {
        match expr::compile(text, schema, wanted(place)) {
            Ok(compiled) => {
                impure += usize::from(!compiled.is_pure());
                if file.starts_with("scenarios") && place == "filter" {
                    filters += 1;
                    guarded += usize::from(!compiled.guards().is_empty());
                }
            }
            Err(error) => faults.push(format!("{file} {place}: {error}\n    {text}")),
        }
    }
    println!(
        "{} compiled, {impure} change the event, {guarded} of {filters} scenario filters have guards, {} searches",
        rows.len() - faults.len(),
        names.searches
    );
    assert!(
        faults.is_empty(),
        "{} refused:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(guarded * 10 >= filters * 9, "an index needs guards");
}
