//! The way of packets through chains of rules.

use std::rc::Rc;

use super::place::{AT_THE_SAME_TIME, Place};
use super::state::{Condition, State, Translation};
use super::truth::Truth;
use crate::collect::linux::redirects::ruleset::{Action, Base, Match, Rule, Step, Table, To};
use crate::model::RuleName;

/// Chains that lead one into the other; the kernel allows 16.
const DEEPEST: usize = 32;
/// Rules that are asked, once for each state.
const MOST_STEPS: usize = 4_000_000;
/// States that are followed at once.
const MOST_STATES: usize = 1_000;

/// Where packets end up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// At the port that they were for.
    Own,
    /// Elsewhere, by this rule, for this service of Kubernetes.
    To(To, Rc<RuleName>, Option<String>),
    /// Nowhere, by this rule.
    Dropped(Rc<RuleName>),
    /// It cannot be known.
    Unclear(String),
}

impl Outcome {
    /// Where translated packets end up if nothing stops them.
    pub fn of(translation: &Translation) -> Outcome {
        Outcome::To(translation.to.clone(), Rc::clone(&translation.rule), translation.service.clone())
    }
}

/// Packets that have come to an end.
#[derive(Clone, Debug)]
pub struct Final {
    /// The packets.
    pub state: State,
    /// Where they are.
    pub outcome: Outcome,
}

/// A walk through the chains of one table at a time.
pub struct Walk<'a> {
    /// Where the packets are.
    pub place: Place<'a>,
    /// What has come to an end.
    pub finals: Vec<Final>,
    /// What the current base chain let through.
    accepted: Vec<State>,
    /// The comments on the way to the current rule.
    comments: Vec<&'a str>,
    steps: usize,
}

impl<'a> Walk<'a> {
    /// A walk that begins there.
    pub fn new(place: Place<'a>) -> Walk<'a> {
        Walk { place, finals: Vec::new(), accepted: Vec::new(), comments: Vec::new(), steps: 0 }
    }

    /// Sends packets through a base chain; returns those that it lets through.
    pub fn base_chain(&mut self, table: &'a Table, name: &'a str, base: Base, states: Vec<State>) -> Vec<State> {
        let left = self.chain(table, name, states, 0);
        if base.drops {
            let policy = Rc::new(RuleName { table: table.name.clone(), chain: name.to_owned(), number: 0 });
            for state in left {
                self.end(state, Outcome::Dropped(Rc::clone(&policy)));
            }
        } else {
            self.accepted.extend(left);
        }
        std::mem::take(&mut self.accepted)
    }

    /// Notes where packets end up.
    pub fn end(&mut self, state: State, outcome: Outcome) {
        self.finals.push(Final { state, outcome });
    }

    /// Sends packets through a chain; returns those that come back from it.
    fn chain(&mut self, table: &'a Table, name: &'a str, states: Vec<State>, depth: usize) -> Vec<State> {
        let Some(chain) = table.chains.get(name) else {
            return self.give_up(states, &format!("there is no chain {name}"));
        };
        if depth > DEEPEST {
            return self.give_up(states, "chains lead to chains too often");
        }
        let mut back = Vec::new();
        let mut states = states;
        for rule in &chain.rules {
            if states.is_empty() {
                break;
            }
            self.steps += states.len();
            if self.steps > MOST_STEPS || states.len() > MOST_STATES {
                return self.give_up(states, "the rules are too many to follow");
            }
            let here = Here { table, chain: name, rule, depth };
            let commented = rule.comment.as_deref();
            self.comments.extend(commented);
            states = self.rule(&here, states, &mut back);
            if commented.is_some() {
                self.comments.pop();
            }
        }
        states.extend(back);
        states
    }

    /// The service of Kubernetes that the rules on the way here are for.
    fn service(&self, here: &Here<'_>) -> Option<String> {
        if here.table.short_name == "kube-proxy" {
            return service_in_chain(here.chain);
        }
        let is_of_kubernetes = here.chain.starts_with("KUBE-") || here.chain.starts_with("CNI-");
        self.comments.iter().filter(|_| is_of_kubernetes).find_map(|comment| service_in_comment(comment))
    }

    fn give_up(&mut self, states: Vec<State>, why: &str) -> Vec<State> {
        for state in states {
            self.end(state, Outcome::Unclear(why.to_owned()));
        }
        Vec::new()
    }

    /// Asks a rule; returns what goes on with the next one. What leaves the chain is added to `back`.
    fn rule(&mut self, here: &Here<'a>, states: Vec<State>, back: &mut Vec<State>) -> Vec<State> {
        let mut next = Vec::new();
        let mut current = states;
        for step in &here.rule.steps {
            current = match step {
                Step::Match(condition) => {
                    let (matched, rest) = self.divide(current, condition);
                    next.extend(rest);
                    matched
                }
                Step::Act(action) => self.act(here, action, current, &mut next, back),
                Step::Map(cases) => {
                    let mut taken = Vec::new();
                    for (condition, action) in cases {
                        let (matched, rest) = self.divide(current, condition);
                        current = rest;
                        taken.extend(self.act(here, action, matched, &mut next, back));
                    }
                    next.append(&mut current);
                    taken
                }
                Step::Choose(actions) => {
                    let by_chance = Condition::Sender("by chance");
                    let mut taken = Vec::new();
                    for action in actions {
                        let states = current.iter().map(|state| state.clone().on(&by_chance)).collect();
                        taken.extend(self.act(here, action, states, &mut next, back));
                    }
                    taken
                }
            };
            if current.is_empty() {
                break;
            }
        }
        // Those that may have taken a way round and met nothing there are the same as those that did not take it.
        current.retain(|state| !next.iter().any(|other| state.is_part_of(other)));
        next.append(&mut current);
        next
    }

    fn divide(&self, states: Vec<State>, condition: &Match) -> (Vec<State>, Vec<State>) {
        let (mut matched, mut rest) = (Vec::new(), states);
        for tests in &condition.any {
            let mut missed = Vec::new();
            let mut meeting = rest;
            for test in tests {
                let mut met = Vec::new();
                for state in meeting {
                    match self.place.asks(test, &state) {
                        Truth::Yes => met.push(state),
                        Truth::No => missed.push(state),
                        Truth::Among(dimension, ranges) => {
                            let (inside, outside) = state.split(dimension, &ranges);
                            met.extend(inside);
                            missed.extend(outside);
                        }
                        Truth::Maybe(condition) => {
                            met.push(state.clone().on(&condition));
                            missed.push(state);
                        }
                    }
                }
                meeting = met;
            }
            matched.extend(meeting);
            rest = missed;
        }
        if condition.is_negated { (rest, matched) } else { (matched, rest) }
    }

    /// Does what the rule says; returns what goes on with its next step.
    fn act(
        &mut self,
        here: &Here<'a>,
        action: &'a Action,
        states: Vec<State>,
        next: &mut Vec<State>,
        back: &mut Vec<State>,
    ) -> Vec<State> {
        if states.is_empty() {
            return states;
        }
        match action {
            Action::Accept => self.accepted.extend(states),
            Action::Drop => {
                let rule = here.name();
                for state in states {
                    self.end(state, Outcome::Dropped(Rc::clone(&rule)));
                }
            }
            Action::Return => back.extend(states),
            Action::Jump(chain) => return self.chain(here.table, chain, states, here.depth + 1),
            Action::Goto(chain) => back.extend(self.chain(here.table, chain, states, here.depth + 1)),
            Action::Continue => next.extend(states),
            Action::Translate(to) => {
                let address = self.place.translated_address(to);
                let translation =
                    Rc::new(Translation { to: to.clone(), address, rule: here.name(), service: self.service(here) });
                for state in states {
                    if state.proxy.is_some() {
                        let why = "it is both translated and given to a transparent socket".to_owned();
                        self.end(state, Outcome::Unclear(why));
                    } else {
                        self.accepted.push(State { translated: Some(Rc::clone(&translation)), ..state });
                    }
                }
            }
            Action::Proxy(to, drops) => {
                let rule = here.name();
                let given = |state: State| State { proxy: Some((to.clone(), Rc::clone(&rule))), ..state };
                if *drops {
                    self.accepted.extend(states.into_iter().map(given));
                } else {
                    // Without a socket to give it to the rule ends here.
                    let needs = Condition::Unclear("it depends on a transparent socket".to_owned());
                    let with_socket = states.iter().map(|state| given(state.clone().on(&needs))).collect();
                    next.extend(states);
                    return with_socket;
                }
            }
            Action::SetMark(value) => {
                return states.into_iter().map(|state| State { mark: state.mark(*value), ..state }).collect();
            }
            Action::SetConnectionMark(value) => {
                let set = |state: State| State { connection_mark: state.mark(*value), ..state };
                return states.into_iter().map(set).collect();
            }
            Action::DoNotTrack => {
                let untracked = |state: State| State { is_untracked: true, ..state };
                return match self.place.precedes_tracking() {
                    Some(true) => states.into_iter().map(untracked).collect(),
                    // What is tracked already stays so. Source: Linux, `nft_notrack_eval`, `notrack_tg`.
                    Some(false) => states,
                    None => {
                        let order = Condition::Unclear(AT_THE_SAME_TIME.to_owned());
                        let both = |state: State| [untracked(state.clone().on(&order)), state.on(&order)];
                        states.into_iter().flat_map(both).collect()
                    }
                };
            }
            Action::Unclear(why) => {
                for state in &states {
                    self.end(state.clone(), Outcome::Unclear(why.clone()));
                }
                return states;
            }
        }
        Vec::new()
    }
}

/// The service that a comment of kube-proxy names: `default/web`, `default/web:http`, and longer ones that begin so.
fn service_in_comment(comment: &str) -> Option<String> {
    let word = comment.split([' ', ',']).next()?;
    let (namespace, name) = word.split_once('/')?;
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':'))
    };
    (is_name(namespace) && is_name(name)).then(|| word.trim_end_matches(':').to_owned())
}

/// The service in the name of one of its chains: `external-2RAHK6HL-default/web/tcp/http`.
fn service_in_chain(chain: &str) -> Option<String> {
    let rest = ["external-", "service-", "endpoint-"].iter().find_map(|prefix| chain.strip_prefix(prefix))?;
    let (_, path) = rest.split_once('-')?;
    let mut parts = path.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}

/// The rule that is asked.
struct Here<'a> {
    table: &'a Table,
    chain: &'a str,
    rule: &'a Rule,
    depth: usize,
}

impl Here<'_> {
    fn name(&self) -> Rc<RuleName> {
        let (table, chain) = (self.table.name.clone(), self.chain.to_owned());
        Rc::new(RuleName { table, chain, number: self.rule.number })
    }
}
