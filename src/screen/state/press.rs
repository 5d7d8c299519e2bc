//! What keys do to the state.

use super::super::keys::Key;
use super::super::laid::{self, Line};
use super::{Act, Over, Prompt, State};
use crate::select::{SortKey, Sorting};

/// What `s` goes through.
const SORTS: [(SortKey, &str); 10] = [
    (SortKey::Port, "port"),
    (SortKey::Process, "process"),
    (SortKey::Pid, "pid"),
    (SortKey::State, "state"),
    (SortKey::Service, "service"),
    (SortKey::User, "user"),
    (SortKey::Peer, "peer"),
    (SortKey::Started, "started"),
    (SortKey::Rx, "rx"),
    (SortKey::Tx, "tx"),
];

impl State {
    /// Takes a key. Returns what is to be done that the screen cannot do itself.
    pub fn press(&mut self, key: Key) -> Option<Act> {
        // What was said of the key before is over.
        self.message = None;
        match (key, &self.prompt, &self.over) {
            (Key::Ctrl('c'), ..) => return Some(Act::Quit),
            (Key::Ctrl('z'), ..) => return Some(Act::Suspend),
            (_, Some(_), _) => return self.press_in_prompt(key),
            (_, None, Some(_)) => return self.press_over(key),
            (_, None, None) => {}
        }
        if let Some(step) = self.step(key) {
            self.move_by(step);
            return None;
        }
        match key {
            Key::Char('q') => return Some(Act::Quit),
            Key::Char('?') => self.over = Some(Over::Page(self.help(), 0)),
            Key::Char('/') => self.prompt = Some((Prompt::Filter, self.filter.clone())),
            Key::Char(':') => self.prompt = Some((Prompt::Condition, String::new())),
            Key::Char('c') => self.prompt = Some((Prompt::Columns, String::new())),
            Key::Char('e') => self.over = Some(Over::Events(0)),
            Key::Char('g') => self.group(),
            Key::Char('b') => return Some(self.measure()),
            Key::Char('w') => return Some(Act::Save),
            Key::Char('s') => self.sort_by_next(true),
            Key::Char('S') => self.sort_by_next(false),
            Key::Char(' ') => self.pause(),
            Key::Char('x') => return self.target().map(Act::Kill),
            Key::Char('X') => return self.target().map(Act::Close),
            Key::Enter => return self.line().map(|line| Act::Info(line.port)),
            Key::Esc => self.set_filter(""),
            Key::Char('r') => {
                let sort = self.choice.sort.unwrap_or(Sorting { key: SortKey::Port, descending: false });
                self.choice.sort = Some(Sorting { descending: !sort.descending, ..sort });
                self.choose_again();
            }
            Key::Char(letter @ ('l' | 't' | 'u' | 'a')) => self.toggle(letter),
            _ => {}
        }
        None
    }

    fn toggle(&mut self, letter: char) {
        let choice = &mut self.choice;
        let (flag, what) = match letter {
            'l' => (&mut choice.listeners, "listeners only"),
            't' => (&mut choice.tcp, "TCP"),
            'u' => (&mut choice.udp, "UDP"),
            _ => (&mut choice.leftovers, "sockets without a process"),
        };
        *flag = !*flag;
        let answer = if *flag { "on" } else { "off" };
        if !choice.tcp && !choice.udp {
            (choice.tcp, choice.udp) = (letter == 'u', letter == 't');
        }
        self.say(&format!("{what}: {answer}"));
        self.choose_again();
    }

    fn sort_by_next(&mut self, forward: bool) {
        let is_there = |key: SortKey| self.choice.traffic || !key.is_about_traffic();
        let sorts: Vec<(SortKey, &str)> = SORTS.into_iter().filter(|(key, _)| is_there(*key)).collect();
        let at = self.choice.sort.and_then(|sort| sorts.iter().position(|(key, _)| *key == sort.key));
        // After the last comes the usual order.
        let count = sorts.len() + 1;
        let step = if forward { 1 } else { count - 1 };
        let next = (at.map_or(0, |at| at + 1) + step) % count;
        let sort = next.checked_sub(1).and_then(|at| sorts.get(at));
        // The busiest first.
        self.choice.sort = sort.map(|(key, _)| Sorting { key: *key, descending: key.is_about_traffic() });
        self.say(&sort.map_or_else(
            || "sorted: listeners first, then by port".to_owned(),
            |(_, name)| format!("sorted by {name}"),
        ));
        self.choose_again();
    }

    fn group(&mut self) {
        self.choice.grouped = !self.choice.grouped;
        let what = if self.choice.grouped { "one row for each service" } else { "one row for each socket" };
        self.say(what);
        self.is_old = true;
    }

    /// Shows what connections carry, or no longer.
    fn measure(&mut self) -> Act {
        self.choice.traffic = !self.choice.traffic;
        if !self.choice.traffic {
            self.sockets.forget_flows();
            // No row has what it would be sorted by.
            self.choice.sort = self.choice.sort.filter(|sort| !sort.key.is_about_traffic());
        }
        self.is_old = true;
        Act::Traffic(self.choice.traffic)
    }

    fn pause(&mut self) {
        if self.frozen.take().is_none() {
            self.freeze();
        }
        self.choose_again();
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = Some((self.sockets.clone(), self.strip.frozen()));
    }

    fn choose_again(&mut self) {
        (self.is_old, self.is_filter_new) = (true, true);
    }

    fn set_filter(&mut self, text: &str) {
        match text.parse() {
            Ok(targets) => {
                self.choice.targets = if text.trim().is_empty() { Vec::new() } else { vec![targets] };
                text.clone_into(&mut self.filter);
                self.choose_again();
            }
            // Half of a target is not yet a target.
            Err(error) if self.prompt.is_some() => self.say(&error.to_string()),
            Err(_) if text.is_empty() => {
                self.choice.targets.clear();
                self.filter.clear();
                self.choose_again();
            }
            Err(_) => {}
        }
    }

    fn press_in_prompt(&mut self, key: Key) -> Option<Act> {
        let (prompt, text) = self.prompt.as_mut()?;
        let prompt = *prompt;
        match key {
            Key::Char(letter) => text.push(letter),
            Key::Backspace => drop(text.pop()),
            Key::Ctrl('u') => text.clear(),
            Key::Esc => {
                self.prompt = None;
                if prompt == Prompt::Filter {
                    self.set_filter("");
                }
                return None;
            }
            Key::Enter => {
                let text = std::mem::take(text);
                self.prompt = None;
                return match prompt {
                    Prompt::Filter => None,
                    Prompt::Condition => Some(Act::Condition(text)),
                    Prompt::Columns => Some(Act::Columns(text)),
                };
            }
            _ => return None,
        }
        if prompt == Prompt::Filter {
            let text = text.clone();
            if text.is_empty() {
                self.prompt = None;
                self.set_filter("");
                self.prompt = Some((Prompt::Filter, String::new()));
            } else {
                self.set_filter(&text);
            }
        }
        None
    }

    fn press_over(&mut self, key: Key) -> Option<Act> {
        let step = self.step(key);
        let (height, last) = (self.over_height(), self.strip().len());
        match (self.over.as_mut()?, step) {
            (Over::Page(lines, at), Some(step)) => {
                *at = moved(*at, step).min(lines.len().saturating_sub(height));
            }
            (Over::Events(at), Some(step)) => {
                *at = moved(*at, step.saturating_neg()).min(last.saturating_sub(height));
            }
            (_, None) => match key {
                Key::Esc | Key::Enter => self.over = None,
                Key::Char('e') if matches!(self.over, Some(Over::Events(_))) => self.over = None,
                Key::Char('?') => self.over = None,
                Key::Char('q') => return Some(Act::Quit),
                _ => {}
            },
        }
        None
    }

    /// By how many lines the key moves.
    fn step(&self, key: Key) -> Option<isize> {
        let page = isize::try_from(self.table_height().max(1)).unwrap_or(1);
        match key {
            Key::Up | Key::Char('k') => Some(-1),
            Key::Down | Key::Char('j') => Some(1),
            Key::PageUp => Some(-page),
            Key::PageDown => Some(page),
            Key::Home => Some(isize::MIN),
            Key::End => Some(isize::MAX),
            _ => None,
        }
    }

    fn move_by(&mut self, step: isize) {
        let last = self.laid.lines.len().saturating_sub(1);
        let index = moved(self.cursor.0, step).min(last);
        self.cursor = (index, self.laid.lines.get(index).map(|line| line.id));
        self.follow_cursor();
    }

    /// Scrolls as far as is needed for the chosen line to be seen.
    pub(super) fn follow_cursor(&mut self) {
        let height = self.table_height().max(1);
        let most = self.laid.lines.len().saturating_sub(height);
        self.top = self.top.min(self.cursor.0).max((self.cursor.0 + 1).saturating_sub(height)).min(most);
    }

    fn line(&self) -> Option<&Line> {
        self.laid.lines.get(self.cursor.0)
    }

    /// The target of the chosen line, for what stops who listens.
    fn target(&mut self) -> Option<String> {
        let line = self.line()?;
        let problem = if self.closed_for(line).is_some() {
            "this socket is closed"
        } else if !line.waits {
            "this row is a connection: choose the row of a listener"
        } else {
            match laid::target(self.seen_sockets(), &line.id, self.style.charset) {
                Some(target) => return Some(target),
                None => "this socket is in another port space (network namespace)",
            }
        };
        self.say(problem);
        None
    }
}

fn moved(at: usize, step: isize) -> usize {
    at.saturating_add_signed(step)
}
