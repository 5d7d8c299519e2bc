//! What was typed and matches no socket: nothing is open there, the name exists nowhere, or that cannot be told.

use std::collections::BTreeMap;

use strsim::damerau_levenshtein;

use crate::catalogue::Catalogue;
use crate::model::{Names, Port, Protocol, Row};
use crate::select::{Pattern, StateSet};

/// Which kind of name was typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// A word: the name of a service, process, unit or container.
    Word,
    /// `:name`: the name of a service.
    Service,
    /// `--process`.
    Process,
    /// `--user`.
    User,
}

/// A name that comes near to one that was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Near {
    /// A command of portscope.
    Command(String),
    /// A flag of the listing that does what the word says.
    Flag(String),
    /// A process that runs here.
    Process(String),
    /// A systemd unit that a socket belongs to.
    Unit(String),
    /// A container that a socket belongs to.
    Container(String),
    /// A port space.
    Space(String),
    /// A service, with the lowest of its ports.
    Service(String, Port, Protocol),
    /// A user.
    User(String),
}

/// What is known of a name that no socket of the answer has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It exists here, and no socket of the answer has it.
    Known,
    /// It may be the name of the owner of one of so many sockets whose owners are hidden.
    Hidden(usize, Vec<Near>),
    /// It is the name of nothing here.
    Unknown(Vec<Near>),
}

/// Everything that may have a name.
pub struct Here<'h, 'a> {
    /// The sockets of every port space that can be seen.
    pub rows: &'h [Row<'a>],
    /// The processes and users of the machine.
    pub names: &'h Names,
    /// The services that ports are registered for.
    pub catalogue: &'h Catalogue,
    /// The names of portscope's commands; empty where none can be meant.
    pub commands: &'h [String],
    /// How many of the sockets that the answer is about have a hidden owner.
    pub hidden: usize,
}

/// More suggestions would not help.
const MOST_NEAR: usize = 3;

impl Here<'_, '_> {
    /// Says what is known of the name.
    pub fn standing(&self, asked: Asked, name: &str) -> Standing {
        if self.has(asked, name) {
            return Standing::Known;
        }
        let near = self.near(asked, name);
        // What a service or user is called does not depend on the owners of sockets.
        match asked {
            Asked::Word | Asked::Process if self.hidden > 0 => Standing::Hidden(self.hidden, near),
            _ => Standing::Unknown(near),
        }
    }

    fn has(&self, asked: Asked, name: &str) -> bool {
        let pattern = Pattern::new(name);
        let is_service = || !self.catalogue.ports_named(name).is_empty();
        let is_process = || {
            self.names.processes.iter().any(|process| pattern.begins(process))
                || self.rows.iter().any(|row| pattern.matches_row(row))
        };
        match asked {
            Asked::Word => {
                let is_of = |row: &Row<'_>| pattern.matches_runs(row) || pattern.matches_belonging(row);
                is_service() || is_process() || self.rows.iter().any(is_of)
            }
            Asked::Service => is_service(),
            Asked::Process => is_process(),
            Asked::User => self.names.users.iter().any(|user| user == name),
        }
    }

    /// The names that come nearest to the one that was typed, no two of them further away than the nearest.
    fn near(&self, asked: Asked, name: &str) -> Vec<Near> {
        let wanted = name.to_lowercase();
        let length = wanted.chars().count();
        // One slip in a short word, one more for every three letters; nothing is near to a word of two letters.
        let farthest = if length < 3 { 0 } else { (length / 3).max(1) };
        let mut found: BTreeMap<usize, Vec<Near>> = BTreeMap::new();
        let mut offer = |text: &str, near: &dyn Fn(String) -> Near| {
            let text = text.to_lowercase();
            if text.len().abs_diff(wanted.len()) > farthest {
                return;
            }
            let distance = damerau_levenshtein(&wanted, &text);
            if distance > 0 && distance <= farthest {
                let near = near(text);
                let alike = found.entry(distance).or_default();
                if !alike.contains(&near) {
                    alike.push(near);
                }
            }
        };
        if asked == Asked::Word {
            self.commands.iter().for_each(|command| offer(command, &Near::Command));
        }
        if matches!(asked, Asked::Word | Asked::Process) {
            for process in &self.names.processes {
                offer(&process.to_string_lossy(), &Near::Process);
            }
        }
        if asked == Asked::Word {
            for row in self.rows {
                if let Some(unit) = row.unit() {
                    offer(unit, &Near::Unit);
                    offer(unit.rsplit_once('.').map_or(unit, |(name, _)| name), &|_| Near::Unit(unit.to_owned()));
                }
                if let Some(container) = row.belonging().and_then(|belonging| belonging.container.as_ref()) {
                    offer(container.short_name(), &Near::Container);
                }
                offer(&row.space.label, &Near::Space);
            }
        }
        if matches!(asked, Asked::Word | Asked::User) {
            self.names.users.iter().for_each(|user| offer(user, &Near::User));
        }
        if matches!(asked, Asked::Word | Asked::Service) {
            for (name, port, protocol) in self.catalogue.names() {
                offer(name, &|name| Near::Service(name, port, protocol));
            }
        }
        let flag = flag_for(&wanted).filter(|_| asked == Asked::Word);
        let mut nearest = match flag {
            Some(flag) => vec![Near::Flag(flag)],
            None => found.into_values().next().unwrap_or_default(),
        };
        let mut services: Vec<String> = Vec::new();
        nearest.retain(|near| match near {
            Near::Service(name, ..) if services.contains(name) => false,
            Near::Service(name, ..) => {
                services.push(name.clone());
                true
            }
            _ => true,
        });
        // The registry has a name near to most short words.
        if length < 6 && nearest.iter().any(|near| !matches!(near, Near::Service(..))) {
            nearest.retain(|near| !matches!(near, Near::Service(..)));
        }
        nearest.truncate(MOST_NEAR);
        nearest
    }
}

/// The flag that asks for what the word says: a protocol, or a state.
fn flag_for(word: &str) -> Option<String> {
    if let Some(protocol) = Protocol::ALL.into_iter().find(|protocol| protocol.name() == word) {
        return Some(format!("-{}", &protocol.name()[..1]));
    }
    word.parse::<StateSet>().ok().map(|_| format!("--state {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{join, testing};

    fn standing(asked: Asked, name: &str, hidden: usize) -> Standing {
        let snapshot = testing::snapshot();
        let listing = join::listing(&snapshot, None);
        let names = Names { processes: vec!["nginx".into(), "vim".into()], users: vec!["ada".to_owned()] };
        let catalogue = Catalogue::default();
        let commands = ["kill".to_owned(), "list".to_owned()];
        let here = Here { rows: &listing.rows, names: &names, catalogue: &catalogue, commands: &commands, hidden };
        here.standing(asked, name)
    }

    #[test]
    fn a_name_that_exists_is_no_mistake_although_nothing_is_open_for_it() {
        for (asked, name) in [
            (Asked::Word, "vim"),
            (Asked::Word, "http"),
            (Asked::Word, "post"),
            (Asked::Service, "ssh"),
            (Asked::Process, "ngin"),
            (Asked::User, "ada"),
        ] {
            assert_eq!(standing(asked, name, 3), Standing::Known, "{name}");
        }
    }

    #[test]
    fn a_mistake_brings_the_nearest_name_of_its_kind() {
        let unknown = |near: &[Near]| Standing::Unknown(near.to_vec());
        assert_eq!(standing(Asked::Word, "kil", 0), unknown(&[Near::Command("kill".to_owned())]));
        assert_eq!(standing(Asked::Process, "ngnix", 0), unknown(&[Near::Process("nginx".to_owned())]));
        assert_eq!(standing(Asked::User, "adda", 5), unknown(&[Near::User("ada".to_owned())]));
        assert_eq!(standing(Asked::Word, "tcp", 0), unknown(&[Near::Flag("-t".to_owned())]));
        assert_eq!(standing(Asked::Word, "listen", 0), unknown(&[Near::Flag("--state listen".to_owned())]));
        assert_eq!(standing(Asked::Word, "no-such-name-at-all", 0), unknown(&[]));
        let Standing::Unknown(near) = standing(Asked::Service, "htp", 5) else { panic!() };
        assert!(near.iter().any(|near| matches!(near, Near::Service(name, ..) if name == "http")), "{near:?}");
    }

    #[test]
    fn where_owners_are_hidden_a_word_cannot_be_called_unknown() {
        assert!(matches!(standing(Asked::Word, "ngnix", 2), Standing::Hidden(2, near) if near.len() == 1));
        assert!(matches!(standing(Asked::Process, "zzzzzz", 2), Standing::Hidden(2, near) if near.is_empty()));
    }
}
