//! `portscope audit`: what is wrong with what is open.

use std::path::{Path, PathBuf};

use super::pager;
use crate::analyse::audit::{self, Finding, RULES, Rule, Severity};
use crate::analyse::health;
use crate::analyse::policy::{self, Policy, Scene};
use crate::catalogue::{Catalogue, host};
use crate::cli::{JsonArgs, SourceArgs, SpaceArgs, StrictArgs, StyleArgs, one_of};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Family, Health, Listing, Need, Protocol, Row, State};
use crate::render::document::audit::AuditReport;
use crate::render::document::{json, junit, listing, nagios, policy as policy_file, sarif};
use crate::render::page::audit::{self as page, Form};
use crate::render::words::finding::Audit;
use crate::render::words::{mistake, policy as policy_words};
use crate::system::file;
use crate::{join, select};

/// The policy that is used without being asked for.
const POLICY: &str = "/etc/portscope/policy.toml";

/// Find what should not be open, by built-in rules and your own policy
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Policy to check the host against; by default /etc/portscope/policy.toml, if it exists
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Do not use a policy, even if there is one in /etc
    #[arg(long, conflicts_with = "policy")]
    no_policy: bool,

    /// Print a policy that allows what is open now, and exit
    #[arg(long, conflicts_with_all = ["policy", "form", "json", "fail_on", "strict"])]
    init: bool,

    /// List the rules, and exit
    #[arg(long, conflicts_with_all = ["init", "explain", "policy", "form", "json"])]
    list: bool,

    /// Explain what a rule looks for and why, and exit
    #[arg(long, value_name = "ID", value_parser = parse_rule, conflicts_with_all = ["init", "policy", "form", "json"])]
    explain: Option<&'static Rule>,

    /// Lowest severity that makes the audit fail
    #[arg(long, value_name = "SEVERITY", value_parser = one_of(&Severity::ALL, Severity::name), default_value = "high")]
    fail_on: Severity,

    /// Do not apply a rule; see --list
    #[arg(long = "disable", value_name = "ID", value_delimiter = ',', value_parser = parse_rule)]
    disabled: Vec<&'static Rule>,

    #[command(flatten)]
    space: SpaceArgs,

    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = one_of(&Form::ALL, Form::name), default_value = "text", conflicts_with = "json")]
    form: Form,

    #[command(flatten)]
    document: JsonArgs,

    #[command(flatten)]
    strictness: StrictArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    if args.list {
        let width = args.style.style(context).width;
        page::write_list(&mut context.stdout, width)?;
        return Ok(ExitStatus::Yes);
    }
    if let Some(rule) = args.explain {
        let width = args.style.style(context).width;
        page::write_explanation(&mut context.stdout, rule, width)?;
        return Ok(ExitStatus::Yes);
    }
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let path = if args.init { None } else { policy_path(args, context)? };
    let policy = path.as_deref().map(|path| read_policy(path, &catalogue)).transpose()?.unwrap_or_default();
    let snapshot = super::snapshot(&args.need(), &args.source, context)?;
    let mut listing = join::listing(&snapshot, Some(&catalogue));
    let filter = select::Filter { spaces: args.space.spaces.clone(), ..select::Filter::default() };
    listing.rows.retain(|row| filter.admits(row));
    if args.init {
        let found = audit::findings(&listing, &|rule| args.is_enabled(rule, &policy));
        let entries = policy::entries(&listing, &found);
        let mut text = Vec::new();
        policy_file::write(&mut text, &entries, &snapshot.host, snapshot.spaces[0].ephemeral)?;
        if text.len() as u64 > host::MOST_BYTES {
            let (size, most) = (text.len().div_ceil(1 << 20), host::MOST_BYTES >> 20);
            return Err(Error::Unable(mistake::policy_too_large(entries.len(), size, most)));
        }
        context.stdout.write_all(&text)?;
        return Ok(ExitStatus::Yes);
    }
    let program = context.program.clone();
    let findings = args.findings(&listing, &policy, path.as_deref())?;
    let rules = RULES.iter().filter(|rule| args.is_enabled(rule, &policy));
    let audit = Audit {
        listing: &listing,
        findings: &findings,
        rules: rules.filter(|rule| path.is_some() || !rule.id.starts_with("policy-")).collect(),
        policy: path.as_deref(),
        fail_on: args.fail_on,
        program: program.as_deref(),
    };
    let form = if args.document.json { Form::Json } else { args.form };
    // What was not asked for is reported, and does not count as hidden.
    let is_incomplete = audit::incomplete(&listing).iter().any(|finding| finding.severity > Severity::Info);
    let is_unsure = args.strictness.strict && is_incomplete;
    let health = match health::of_findings(&findings, args.fail_on) {
        Health::Ok | Health::Warning if is_unsure => Health::Unknown,
        health => health,
    };
    let mut text = Vec::new();
    let style = args.style.style(context);
    match form {
        Form::Text => page::write(&mut text, &audit, style)?,
        Form::Json => json::write(&mut text, &AuditReport::new(&audit), context.terminal.is_tty)?,
        Form::Sarif => json::write(&mut text, &sarif::document(&audit), context.terminal.is_tty)?,
        Form::Junit => junit::write(&mut text, &audit)?,
        Form::Nagios => nagios::write_audit(&mut text, &audit, health)?,
    }
    pager::show(&text, form == Form::Text && !args.style.no_pager, context)?;
    Ok(match audit.failures() {
        _ if form == Form::Nagios => ExitStatus::Monitored(health),
        0 if is_unsure => ExitStatus::Incomplete,
        0 => ExitStatus::Yes,
        _ => ExitStatus::No,
    })
}

impl Args {
    fn need(&self) -> Need {
        self.source.asked(Need {
            protocols: Protocol::ALL.to_vec(),
            families: Family::ALL.to_vec(),
            states: Some(vec![State::Listen, State::Unconnected, State::Redirect]),
            argv: false,
            exe: true,
            executables: true,
            runs: true,
            spaces: self.space.choice(),
            belonging: true,
            dossier: true,
            ..Need::default()
        })
    }

    fn is_enabled(&self, rule: &Rule, policy: &Policy) -> bool {
        !self.disabled.iter().any(|disabled| disabled.id == rule.id) && !policy.disable.contains(rule.id)
    }

    fn findings<'a>(
        &self,
        listing: &'a Listing<'a>,
        policy: &'a Policy,
        path: Option<&Path>,
    ) -> Result<Vec<Finding<'a>>, Error> {
        let is_enabled = |rule: &Rule| self.is_enabled(rule, policy);
        let mut found = audit::findings(listing, &is_enabled);
        if is_enabled(audit::rule("incomplete").expect("known")) {
            found.extend(audit::incomplete(listing));
        }
        if let Some(path) = path {
            let object = |row: &Row<'_>| serde_json::to_value(listing::socket(row)).unwrap_or_default();
            let scene = Scene { listing, object: &object };
            found = policy::judge(policy, &scene, found, &is_enabled).map_err(|error| in_file(path, &error))?;
        }
        Ok(audit::in_order(found))
    }
}

fn parse_rule(text: &str) -> Result<&'static Rule, String> {
    audit::rule(text).ok_or_else(|| {
        let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        mistake::not_a_rule(text, &ids)
    })
}

/// The file that was named, else the machine's own when there is one. Under sudo that one counts only when nobody but
/// root can have written it.
fn policy_path(args: &Args, context: &Context) -> Result<Option<PathBuf>, Error> {
    if args.no_policy {
        return Ok(None);
    }
    if let Some(path) = &args.policy {
        return Ok(Some(path.clone()));
    }
    let path = PathBuf::from(POLICY);
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
    if context.environment.is_sudo() && !file::is_of_root(&metadata) {
        return Err(Error::Config { path, problem: mistake::UNTRUSTED_POLICY.to_owned() });
    }
    Ok(Some(path))
}

fn read_policy(path: &Path, catalogue: &Catalogue) -> Result<Policy, Error> {
    let error = |problem: &str| Error::Config { path: path.to_owned(), problem: problem.to_owned() };
    let bytes = host::read_small_file(path).map_err(|problem| error(&problem.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| error(mistake::NOT_UTF8))?;
    policy::parse(&text, catalogue).map_err(|error| in_file(path, &error))
}

fn in_file(path: &Path, error: &policy::PolicyError) -> Error {
    Error::Config { path: path.to_owned(), problem: policy_words::error(error) }
}
