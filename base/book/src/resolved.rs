//! What the names on allowlists stand for.

use std::collections::BTreeMap;

use vocab::Cidr;

use crate::AllowSubject;

/// The most ranges that one name stands for.
const MOST: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Resolved {
    answers: BTreeMap<AllowSubject, Vec<Cidr>>,
}

impl Resolved {
    /// The ranges a subject stands for now, sorted; for a name its last good answer.
    pub(crate) fn ranges(&self, subject: &AllowSubject) -> Vec<Cidr> {
        match (subject, self.answers.get(subject)) {
            (AllowSubject::Range(range), _) => vec![*range],
            (_, Some(answer)) => answer.clone(),
            (AllowSubject::Preset(preset), None) => preset.known(),
            (AllowSubject::Host(_), None) => Vec::new(),
        }
    }

    /// Takes a new answer; says whether it was taken.
    pub(crate) fn update(&mut self, subject: &AllowSubject, ranges: &[Cidr], bound: usize) -> bool {
        let empty_name = matches!(subject, AllowSubject::Host(_)) && ranges.is_empty();
        let full = self.answers.len() >= bound && !self.answers.contains_key(subject);
        if matches!(subject, AllowSubject::Range(_)) || empty_name || full {
            return false;
        }
        let mut answer: Vec<Cidr> = ranges.to_vec();
        answer.sort_unstable();
        answer.dedup();
        answer.truncate(MOST);
        self.answers.insert(subject.clone(), answer);
        true
    }
}
