//! What somebody may have meant by a name that is not there.

/// The nearest of `names` to `wanted`, at most three, the nearest first; those that are too
/// far off are left out. A name without its author is near whoever has it.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let wanted: String = wanted.to_ascii_lowercase().chars().take(128).collect();
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_ascii_lowercase();
            let bare = lower.rsplit('/').next().unwrap_or(&lower);
            let far = match wanted.rsplit_once('/') {
                // The same by another author is near, too.
                Some((_, thing)) => distance(&wanted, &lower).min(distance(thing, bare) + 2),
                None => distance(&wanted, bare),
            };
            (far <= wanted.chars().count() / 3 + 1).then_some((far, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    // Much farther than the nearest is another thing.
    let nearest = near.first().map_or(0, |(far, _)| *far);
    near.retain(|(far, _)| *far <= nearest + 1);
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How many characters have to be put in, taken out or exchanged.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, wanted) in one.chars().enumerate() {
        let mut corner = at;
        let mut left = at + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (place, found) in row.iter_mut().skip(1).zip(&other) {
            let changed = corner + usize::from(wanted != *found);
            corner = *place;
            left = changed.min(left + 1).min(corner + 1);
            *place = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_offered() {
        let names = [
            "crowdsecurity/http-probing",
            "crowdsecurity/http-cve",
            "crowdsecurity/sshd",
            "other/sshd",
        ];
        for (wanted, found) in [
            (
                "crowdsecurity/http-probin",
                vec!["crowdsecurity/http-probing"],
            ),
            ("crowdsec/http-probing", vec!["crowdsecurity/http-probing"]),
            ("http-probing", vec!["crowdsecurity/http-probing"]),
            ("me/http-probing", vec!["crowdsecurity/http-probing"]),
            ("SSHD", vec!["crowdsecurity/sshd", "other/sshd"]),
            ("wordpress", vec![]),
        ] {
            assert_eq!(nearest(wanted, names.into_iter()), found, "{wanted}");
        }
    }
}
