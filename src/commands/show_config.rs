//! `portscope --show-config`: which settings hold, and where each is from.

use super::pager;
use crate::catalogue::Label;
use crate::cli::{Defaults, OutputArgs, Preset};
use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::State;
use crate::render::page::settings::{self, Line, Origin, Shown};
use crate::render::text::style;

/// Writes the settings of a listing with these flags.
pub fn run(output: &OutputArgs, defaults: &Defaults, context: &mut Context) -> Result<ExitStatus, Error> {
    let style = output.style.style(context);
    let lines = [
        color(output, defaults, context),
        columns(output, defaults),
        leftovers(defaults),
        pager(output, defaults, context),
        sort(output, defaults),
    ];
    let environment = &context.environment;
    let mut labels = Vec::new();
    for flag in config::labels_of_flags(&output.style.labels)? {
        labels.push(label(&flag, Origin::Flag("--label")));
    }
    for ((path, line), known) in &context.configuration.labels {
        labels.push(label(known, Origin::File(path.clone(), *line)));
    }
    let files: Vec<_> = config::paths(environment).into_iter().map(|(path, _)| (path.clone(), path.exists())).collect();
    settings::write(&mut context.stdout, &lines, &labels, &files, style)?;
    Ok(ExitStatus::Yes)
}

fn origin<T>(preset: &Preset<T>) -> Origin {
    Origin::File(preset.origin.path.clone(), preset.origin.setting.line)
}

fn color(output: &OutputArgs, defaults: &Defaults, context: &Context) -> Line {
    let configured = defaults.color.as_ref();
    let (choice, variable) =
        style::choice(output.style.color, configured.map(|preset| preset.value), &context.environment);
    let origin = match (output.style.color, variable, configured) {
        (Some(_), ..) => Origin::Flag("--color"),
        (None, Some(name), _) => Origin::Variable(name),
        (None, None, Some(preset)) => origin(preset),
        (None, None, None) => Origin::Default,
    };
    ("color".to_owned(), Shown::Text(choice.name().to_owned()), vec![origin])
}

fn columns(output: &OutputArgs, defaults: &Defaults) -> Line {
    let with = output.with(defaults);
    let names = with.columns().into_iter().map(|column| column.name().to_owned()).collect();
    let of_file = defaults.columns.as_ref().filter(|_| with.columns.len() > output.columns.len()).map(origin);
    let of_flag = (!output.columns.is_empty()).then_some(Origin::Flag("--columns"));
    let mut origins: Vec<Origin> = of_file.into_iter().chain(of_flag).collect();
    if origins.is_empty() {
        origins.push(Origin::Default);
    }
    ("columns".to_owned(), Shown::Texts(names), origins)
}

fn leftovers(defaults: &Defaults) -> Line {
    let listed = State::ALL.into_iter().filter(|state| defaults.lists(*state));
    let names = listed.map(|state| state.name().to_owned()).collect();
    let origin = defaults.leftovers.as_ref().map_or(Origin::Default, origin);
    ("leftovers".to_owned(), Shown::Texts(names), vec![origin])
}

fn pager(output: &OutputArgs, defaults: &Defaults, context: &Context) -> Line {
    let (command, variable) = pager::command(context);
    let origin = match (output.style.no_pager, variable, &defaults.pager) {
        (true, ..) => Origin::Flag("--no-pager"),
        (false, Some(name), _) => Origin::Variable(name),
        (false, None, Some(preset)) => origin(preset),
        (false, None, None) => Origin::Default,
    };
    let is_off = output.style.no_pager || command.is_empty();
    let value = if is_off { Shown::Off } else { Shown::Text(command.to_owned()) };
    ("pager".to_owned(), value, vec![origin])
}

fn sort(output: &OutputArgs, defaults: &Defaults) -> Line {
    let (value, origin) = match (output.sort, &defaults.sort) {
        (Some(sorting), _) => (Some(sorting), Origin::Flag("--sort")),
        (None, Some(preset)) => (Some(preset.value), origin(preset)),
        (None, None) => (None, Origin::Default),
    };
    let value =
        value.map_or(Shown::Unset(settings::USUAL_ORDER), |sorting| Shown::Text(crate::cli::sorting_name(sorting)));
    ("sort".to_owned(), value, vec![origin])
}

fn label(label: &Label, origin: Origin) -> Line {
    let port = match label.protocol {
        Some(protocol) => format!("{}/{}", label.ports, protocol.name()),
        None => label.ports.to_string(),
    };
    (port, Shown::Text(label.name.clone()), vec![origin])
}
